"""Values of options: dataset kinds, sizes, names, numbers in a range."""

import argparse
import math
import re
from collections.abc import Mapping
from typing import Literal

from .errors import UserError

Kind = Literal["sft", "preference", "unpaired", "prompts", "trajectories"]
"""What one row of the prepared data holds."""
KINDS: Mapping[str, Kind] = {
    "sft": "sft",
    "dpo": "preference",
    "rm": "preference",
    "kto": "unpaired",
    "grpo": "prompts",
    "rloo": "prompts",
    "ppo": "prompts",
    "reinforce_pp": "prompts",
    "dapo": "prompts",
    "gspo": "prompts",
}
"""What each algorithm reads, whatever the framework. Trajectories are for code of one's own."""


MAX_BAD_SHARE = 0.01
"""Share of lines that may be no rollouts before scripts stop (`--max_bad_share`)."""
IMITATED_FROM = 0.7
"""Lowest reward that projects for sft keep (`--min_reward` in their Makefile)."""


def size(text: str) -> int:
    """Bytes: 500MB, 4GiB, 1000000."""
    found = re.fullmatch(r"(\d+) ?([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 500MB or 4GiB")
    base = 1024 if found[3] else 1000
    bytes_: int = int(found[1]) * base ** " KMGT".index(found[2].upper() or " ")
    return bytes_


def assignment(text: str) -> tuple[str, str]:
    """old=new."""
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise argparse.ArgumentTypeError(f"{text!r} is not old=new")
    return old, new


def demand(name: str, value: float | None, highest: float = 1, lowest: float = 0) -> None:
    """Refuse a number out of range; None is none."""
    if value is not None and not lowest <= value <= highest:
        most = "" if highest == math.inf else f" to {highest:g}"
        raise UserError(f"{name} is {value:g}.", f"Give a number from {lowest:g}{most}.")
