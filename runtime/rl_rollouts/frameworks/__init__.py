"""What is true of one framework alone, one file each, or one folder.

    ROWS        dataset kind -> function that turns one thing built into one row
    COLUMNS     dataset kind -> names and types of the row's columns, for parquet
    REFUSED     dataset kind -> why there is no row of that kind, and what to do instead
    CONFIG      where the trainer's config says how long a row may be, and which model is trained
    training    what a config says of the rows that a step takes, and of rows with tools
    tools_of    the tools that a row of prompts speaks of
    chat_template   what a trainer takes in place of the tokenizer's
    LOG_NAMES   names in the framework's own log -> those of ours
    parts_of    the folder of a checkpoint that only the framework's own tools can join
    join        write the model of such a folder as one

All but the first three may be missing. The things built are rollouts for sft and prompts, and for
the other kinds what `data/build.py` makes of them. A row is a struct or a dict; msgspec.json.encode
makes one line of JSONL of it. A framework that is none of these has such a module in the project's
folder: `acme_rows.py`, where pyproject.toml says `framework = "acme"` in `[tool.rl-rollouts]`.
"""

import importlib
import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from ..config import project
from ..errors import UserError


class ConfigKeys(NamedTuple):
    """Where a framework's config says what reports want to know. A dot goes one level down."""

    limit: tuple[str, ...]
    """Tokens of a row; the first that is there counts."""
    model: tuple[str, ...]
    fate: str
    """What becomes of a longer row."""
    default: int | None = None
    """The limit where the config gives none."""
    choice: str = ""
    """The key that decides about the fate, where there is one."""
    fates: Mapping[str, str] = {}
    """What its values mean."""


class Training(NamedTuple):
    """What a trainer's config says about a run over prepared rows."""

    algorithm: str
    rows: int
    """That one step takes, over all processes; of online algorithms prompts."""
    responses: int = 0
    """That it generates."""
    epochs: float = 1
    max_steps: int | None = None
    """In place of epochs."""
    fill: Literal["short", "next", "none"] = "short"
    """Of the last rows of an epoch that fill no step: a shorter step, one with rows of the next
    epoch, or none."""
    updates: float = 1
    """Optimizer steps to one that generates."""
    tools: Literal["refuse", "drop", "show"] = "show"
    """Online, what becomes of rows that speak of tools."""
    tools_key: str = ""
    """By which that is chosen."""
    packed: bool = False
    """Whether several rows make one sequence, so that steps are known after tokenising."""

    def steps(self, rows: int) -> int | None:
        """Optimizer steps of the whole run; None where only tokens tell."""
        share = rows / self.rows
        if self.fill == "none" and not self.packed and share < 1:
            return 0
        if self.max_steps is not None:
            return self.max_steps
        if self.packed:
            return None
        if self.fill == "next":
            return math.ceil(self.epochs * share)
        whole = math.floor(share) if self.fill == "none" else math.ceil(share)
        return math.ceil(self.epochs * math.ceil(whole * self.updates))


def value_of(config: Any, key: str, default: Any = None) -> Any:
    """The value of a key, written with dots or as levels; the default where it has none."""
    if isinstance(config, Mapping) and key in config:
        found = config[key]
        return default if found is None else found
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return default if config is None else config


MOST = 1e15
"""Of anything that is counted."""


class OddValue(UserError):
    """A value of a config with which nothing can be calculated."""


def count_of(config: Any, key: str, default: float) -> Any:
    """A number above zero of a config.

    Raises:
        OddValue: when something else stands there.
    """
    found = value_of(config, key, default)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not 0 < found < MOST:
        raise OddValue(f"`{key}` is {found!r}, which is no number above 0.", "Mend the config.")
    return found


def limit_of(config: Any, key: str) -> int | None:
    """A whole number of a config that ends a run; None where none does, as with -1.

    Raises:
        OddValue: when something else stands there.
    """
    found = value_of(config, key)
    if found is None or (type(found) is int and found <= 0):
        return None
    if type(found) is not int:
        raise OddValue(f"`{key}` is {found!r}, which is no whole number.", "Mend the config.")
    return found


@cache
def known() -> Mapping[str, Any]:
    """All modules by the framework's name, and that of the project at hand."""
    found, here = dict(shipped()), project()
    own = f"{here.framework}_rows"
    if here.framework not in found and (here.folder / f"{own}.py").is_file():
        found[here.framework] = importlib.import_module(own)
    return found


@cache
def shipped() -> Mapping[str, Any]:
    """All modules of this folder by the framework's name."""
    names = (each.name for each in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def log_names() -> Mapping[str, str]:
    """What any framework's log calls what ours calls otherwise."""
    every = [getattr(module, "LOG_NAMES", {}) for module in known().values()]
    return {name: ours for names in every for name, ours in names.items()}
