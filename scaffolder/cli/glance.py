"""What a glance at the rollouts found, said between two questions."""

import textwrap
from typing import TYPE_CHECKING

from scaffolder.errors import UserError

if TYPE_CHECKING:
    from scaffolder.rollouts import Inspection

WIDTH = 78
SIGNS = {"good": "+", "warning": "!"}


def show(found: "Inspection | UserError | str") -> None:
    """A few lines; notes are left to `rl-scaffolder inspect`."""
    if isinstance(found, str):
        _say("", found)
        return
    if isinstance(found, UserError):
        _show_trouble(found)
        return
    summary = found.summary
    counted = f"{summary['rollouts']:,} rollouts of {summary['tasks']['count']:,} tasks"
    _say("", f"{counted} at a glance; `rl-scaffolder inspect` says more:")
    for weight, sentence in found.findings:
        if weight in SIGNS:
            _say(f"{SIGNS[weight]} ", sentence)


def _show_trouble(error: UserError) -> None:
    for line in (error.problem, *(f"- {reason}" for reason in error.reasons)):
        _say("! ", line)
    for line in error.remedy.splitlines():
        _say("! ", line)


def _say(sign: str, text: str) -> None:
    first, other = f"  {sign}", "  " + " " * len(sign)
    wrapper = textwrap.TextWrapper(WIDTH, first, other, break_long_words=False)
    print(wrapper.fill(text))
