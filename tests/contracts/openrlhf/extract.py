"""The config keys of the installed OpenRLHF: the flags of its commands, and our own few keys.

Flags that are words alone become truth values, which nothing converts: text there would be an
argument that the parser does not expect. All others are read as argparse reads words.
"""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from contracts.extraction import Json
from contracts.openrlhf import limits
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks.openrlhf.parser import Parser, parse
from rl_rollouts.frameworks.openrlhf.settings import ALGORITHMS, MANAGED, MODULES, TRACKERS

ONLINE = "train_ppo_ray"
TEXT = {"type": "str | None", "default": None}
REQUIRED = {"type": "str", "min_length": 1}
COUNT = {"type": "int", "default": 1, "gt": 0}
OURS: dict[str, Json] = {
    "algorithm": {**REQUIRED, "choices": list(ALGORITHMS)},
    "output_dir": REQUIRED,
    "tracker": {"type": "str", "default": TRACKERS[0], "choices": list(TRACKERS)},
}
LAUNCH: dict[str, Json] = {"launch.nodes": COUNT, "launch.gpus_per_node": COUNT}
SCORED: dict[str, Json] = {
    "rewards": {"type": "str", "default": "rewards:score", "min_length": 1},
    "rows_with_tools": {"type": "str", "default": "refuse", "choices": ["refuse", "drop"]},
    "environment": TEXT,
    "thinking": {"type": "bool", "default": False},
}


def extract() -> Json:
    """For each command a class of its flags with values, and one of those without."""
    classes: Json = {}
    for module in (*MODULES.values(), ONLINE):
        keys = dict(_keys(module))
        limits.add(keys)
        switches = {name for name, key in keys.items() if key["type"] == "bool | None"}
        valued = {name: key for name, key in keys.items() if name not in switches}
        own = OURS | (SCORED if module == ONLINE else LAUNCH)
        classes[module] = _class(module, valued, "argparse")
        classes[f"{module} (switches)"] = _class(
            module, {each: keys[each] for each in switches}, "yaml"
        )
        classes[f"{module} (here)"] = _class(module, own, "yaml")
    parts = ("", " (switches)", " (here)")
    return {
        "framework": "openrlhf",
        "version": version("openrlhf"),
        "algorithms": {
            name: [f"{MODULES.get(name, ONLINE)}{part}" for part in parts] for name in ALGORITHMS
        },
        "classes": classes,
    }


def _class(module: str, keys: Json, reads: str) -> Json:
    return {"module": f"openrlhf.cli.{module}", "inherits": [], "keys": keys, "reads": reads}


def _keys(module: str) -> Iterator[tuple[str, Json]]:
    for action in actions(module):
        name = action.option_strings[0].removeprefix("--")
        if name in MANAGED:
            continue
        described: Json = {"type": _type(action), "default": _default(action)}
        if action.choices:
            described["choices"] = list(action.choices)
        yield name, described


def actions(module: str) -> list[argparse.Action]:
    """What the parser of a command knows."""
    with suppress(UserError):
        parse(module, ["--none"])
    return [each for each in Parser.made._actions if each.option_strings]


def _type(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "bool | None"
    kind = getattr(action.type, "__name__", "str")
    return f"list[{kind}] | None" if action.nargs else f"{kind} | None"


def _default(action: argparse.Action) -> Any:
    if isinstance(action.default, tuple):
        return list(action.default)
    dated = action.dest.endswith("run_name")  # the time of day
    infinite = action.default == float("inf")
    word = bool(action.nargs) and isinstance(action.default, str)  # for which no list stands
    return None if dated or infinite or word else action.default
