"""What a glance at the rollouts found, said between two questions."""

from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder.errors import UserError

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.rollouts import Inspection
    from scaffolder.spec import ProjectSpec

SIGNS = {"good": "+", "warning": "!"}


def show(found: "Inspection | UserError") -> None:
    """A few lines; notes are left to `rl-scaffolder inspect`."""
    if isinstance(found, UserError):
        print(f"  {found.problem} {found.remedy}")
        return
    summary = found.summary
    counted = f"{found.counted} of {summary['tasks']['count']:,} tasks"
    print(f"  {counted} at a glance; `rl-scaffolder inspect` says more:")
    for weight, sentence in found.findings:
        if weight in SIGNS:
            print(f"  {SIGNS[weight]} {sentence}")
    if found.with_tools:
        print(f"  ! {found.with_tools:,} prompts have tools, of which online training has to know.")


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
        print(f"  ! {found.problem}. {found.remedy}")
    print()


def show_tools(spec: "ProjectSpec") -> None:
    """What will stop online training, where nobody was asked about rows with tools."""
    from scaffolder import rollouts

    if found := rollouts.tools_to_choose(spec.model_dump()):
        with_tools, ways = found
        choices = " or ".join(f"--set rows_with_tools={way}" for way in ways if way != "refuse")
        print(f"note: {with_tools:,} prompts have tools, and training will refuse them: {choices}.")
