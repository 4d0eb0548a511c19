"""What would fail, wait without end, or train on nothing, once the GPUs are there."""

import json
import os
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from openrlhf_data import parts, rows_of
from openrlhf_learned import Taken
from rl_rollouts.engine.write import beside, files_of
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import openrlhf
from rl_rollouts.frameworks.openrlhf.rules import asked
from rl_rollouts.frameworks.openrlhf.settings import Settings
from rl_rollouts.models import folders
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.rewards.environments import shown_tools
from rl_rollouts.rewards.trial import try_out
from rl_rollouts.survey.forecast import measured

PATIENCE = 600
"""Seconds to wait for the other machines."""
DRIVERS = 2
"""CPUs of Ray beside one for each GPU: of the trainer, and of what started it."""


def check_machines(settings: Settings) -> None:
    """See that all GPUs and CPUs that are reserved are there; OpenRLHF waits for them for ever.

    Raises:
        UserError: when they are not, after waiting for the machines of a cluster.
    """
    if not settings.online:
        wanted, there = int(settings.own["launch.gpus_per_node"]), gpus_here()
        if there < wanted:
            raise _too_few(f"launch.gpus_per_node is {wanted}", f"this machine shows {there} GPUs")
        return
    wanted = asked(settings)
    if os.environ.get("RAY_ADDRESS"):
        _wait(wanted)
        return
    if (there := gpus_here()) < wanted:
        raise _too_few(f"the config asks for {wanted} GPUs", f"this machine shows {there}")
    if (cpus := os.cpu_count() or 1) < wanted + DRIVERS:
        raise _too_few(f"Ray reserves {wanted + DRIVERS} CPUs", f"this machine has {cpus}")


def _too_few(wanted: str, there: str) -> UserError:
    return UserError(
        f"{wanted[0].upper()}{wanted[1:]}, and {there}: OpenRLHF would wait for ever.",
        "Lower the numbers of GPUs in the config, or render the project for this machine.",
    )


def gpus_here() -> int:
    import torch

    return int(torch.cuda.device_count())


def _wait(wanted: int) -> None:
    """Of a cluster that is there (RAY_ADDRESS): until all GPUs have joined."""
    import ray

    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    end = time.monotonic() + PATIENCE
    try:
        while (found := ray.cluster_resources()).get("GPU", 0) < wanted:
            if time.monotonic() > end:
                there = f"{found.get('GPU', 0):g} joined the Ray cluster within {PATIENCE} s"
                raise _too_few(f"the config asks for {wanted} GPUs", there)
            time.sleep(2)
        if found.get("CPU", 0) < wanted + DRIVERS:
            there = f"the Ray cluster has {found.get('CPU', 0):g}"
            raise _too_few(f"Ray reserves {wanted + DRIVERS} CPUs", there)
    finally:
        ray.shutdown()


def check_data(settings: Settings, path: Path, tokenizer: Any, *, every: bool) -> None:
    """See that there are enough rows that can be trained on.

    Args:
        every: tokenise all rows, and print how long they are; else up to the first one.
    """
    if settings.online:
        _check_rewards(settings, path)
    paths = [path]
    held_out = beside(path, f".eval{path.suffix}")
    if settings.follows and any(file.stat().st_size for file in files_of(held_out)):
        paths.append(held_out)
    elif settings.follows:
        print(f"note: {held_out} has no rows: nothing is followed while training.")
    for each in reversed(paths):
        taken, count = Taken(settings, tokenizer), 0
        for place, row in tqdm(rows_of(each), desc="tokenising", mininterval=1, disable=not every):
            _demand_turns(settings, place, row)
            count += taken.takes(place, row)
            if not every and (count or taken.found.refused):
                break
        if every:
            print(f"{each}", *taken.found.lines(), sep="\n")
        taken.found.demand()
    if every:
        settled = {**settings.given, **settings.own}
        forecast = measured(openrlhf, settled, taken.found)
        print(*forecast.steps_in_words(), sep="\n")
        forecast.demand()


def _demand_turns(settings: Settings, place: str, row: Any) -> None:
    """See that a row has the columns of the config, and no turn that would silently not count."""
    try:
        _, sides, _ = parts(settings, row)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{place} has no column {error}, which the config names.",
            "Prepare the rows again, or correct the data.*_key.",
        ) from None
    if settings.algorithm != "sft" or settings.arguments.data.multiturn:
        return
    if sum(each["role"] == "assistant" for each in sides[0]) > 1:
        raise UserError(
            f"{place} has several turns of the model, and OpenRLHF trains the last one alone.",
            "Prepare the rows again, which makes a row of each turn, or set data.multiturn: true.",
        )


def _check_rewards(settings: Settings, path: Path) -> None:
    """The reward tells responses apart, and the model will see the tools that rows speak of."""
    own, key = settings.own, settings.arguments.data.label_key
    rows = [row for _, row in rows_of(path)]
    try:
        facts = [openrlhf.reward_arguments(row[key]) for row in rows]
        with_tools = sum(bool(json.loads(row[key]).get("tools")) for row in rows)
    except (KeyError, TypeError):
        raise UserError(f"{path} has no column {key!r} (data.label_key).", "Prepare it.") from None
    if own["environment"]:
        shown_tools(str(own["environment"]))
    elif with_tools and own["rows_with_tools"] != "drop":
        raise UserError(
            f"{with_tools} rows of {path} have tools, and OpenRLHF shows tools to the model only "
            "through an environment that runs them.",
            "Write one (see environment.py) and set `environment: environment:Shop`, or leave "
            "these rows out with `rows_with_tools: drop`.",
        )
    if said := try_out(facts, load_score(str(own["rewards"]))):
        print(said)


def load_tokenizer(settings: Settings) -> Any:
    """As OpenRLHF loads it, with a padding token."""
    tokenizer = folders.load_tokenizer(settings.model, trust_remote_code=True)
    for name, what in (("chat_template", "chat template"), ("eos_token", "token that ends a text")):
        if not getattr(tokenizer, name):
            raise UserError(
                f"The tokenizer of {settings.model} has no {what}.",
                "Take an instruction-tuned model, or add it to the model's folder.",
            )
    return tokenizer
