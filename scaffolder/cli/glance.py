"""What a glance at the rollouts found, said between two questions."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder.errors import UserError

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.rollouts import Inspection
    from scaffolder.spec import ProjectSpec

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
    counted = f"{found.counted} of {summary['tasks']['count']:,} tasks"
    _say("", f"{counted} at a glance; `rl-scaffolder inspect` says more:")
    for weight, sentence in found.findings:
        if weight in SIGNS:
            _say(f"{SIGNS[weight]} ", sentence)
    if found.with_tools:
        _say(
            "! ", f"{found.with_tools:,} prompts have tools, of which online training has to know."
        )


def _show_trouble(error: UserError) -> None:
    for line in (error.problem, *(f"- {reason}" for reason in error.reasons)):
        _say("! ", line)
    for line in error.remedy.splitlines():
        _say("! ", line)


def _say(sign: str, text: str) -> None:
    first, other = f"  {sign}", "  " + " " * len(sign)
    wrapper = textwrap.TextWrapper(WIDTH, first, other, break_long_words=False)
    print(wrapper.fill(text))


def show_outlook(spec: "ProjectSpec", plan: "Plan") -> None:
    """What the trainer will do with the rollouts, where they are there and soon read."""
    from scaffolder import forecast
    from scaffolder.cli import inspect

    path = forecast.soon_read(Path(spec.rollouts))
    if path is None:
        return
    found = forecast.outlook(path, spec, plan)
    print("\nWhat it will do with these rollouts:")
    inspect.show_outlook(found)
    if found.problem:
        _say("! ", f"{found.problem}. {found.remedy}")
    print()


def show_stops(spec: "ProjectSpec", plan: "Plan", found: "Inspection | None") -> None:
    """What a glance sees that will stop online training, where nobody was asked."""
    from scaffolder import forecast, rollouts

    if choice := rollouts.tools_to_choose(spec.model_dump()):
        with_tools, ways = choice
        choices = " or ".join(f"--set rows_with_tools={way}" for way in ways if way != "refuse")
        _note(f"{with_tools:,} prompts have tools, and training will refuse them: {choices}.")
    elif found and plan.responses and forecast.soon_read(Path(spec.rollouts)):  # all was seen
        left = found.summary["tasks"]["asked"]
        left -= found.with_tools if spec.rows_with_tools == "drop" else 0
        step = plan.global_batch_size * plan.updates // plan.responses
        if left < step:
            _note(
                f"there are {left:,} prompts at most, and a step takes {step:,}: training will "
                "stop. Give more rollouts, or a smaller batch: --set global_batch_size=..."
            )


def _note(text: str) -> None:
    print(textwrap.fill(f"note: {text}", WIDTH, break_long_words=False, break_on_hyphens=False))
