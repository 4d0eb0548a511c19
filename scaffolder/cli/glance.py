"""What a glance at the rollouts found, said between two questions."""

from typing import TYPE_CHECKING

from scaffolder.errors import UserError

if TYPE_CHECKING:
    from scaffolder.rollouts import Inspection

SIGNS = {"good": "+", "warning": "!"}


def show(found: "Inspection | UserError") -> None:
    """A few lines; notes are left to `rl-scaffolder inspect`."""
    if isinstance(found, UserError):
        print(f"  {found.problem} {found.remedy}")
        return
    summary = found.summary
    counted = f"{summary['rollouts']:,} rollouts of {summary['tasks']['count']:,} tasks"
    print(f"  {counted} at a glance; `rl-scaffolder inspect` says more:")
    for weight, sentence in found.findings:
        if weight in SIGNS:
            print(f"  {SIGNS[weight]} {sentence}")
