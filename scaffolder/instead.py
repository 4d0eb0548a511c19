"""A model that does not fit, and what does."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scaffolder.errors import InfeasiblePlan


class Instead(NamedTuple):
    """Choices with which a plan comes out."""

    changes: Mapping[str, Any]
    """Answers that are others."""
    words: str
    """What comes of it."""

    @property
    def flags(self) -> str:
        """As they are typed after the command that was refused."""
        words = (
            f"--{name.replace('_', '-')} {value}" if value is not None else f"--set {name}=null"
            for name, value in self.changes.items()
        )
        return " ".join(words)


class TooLarge(InfeasiblePlan):
    """The model does not fit into the memory of the GPUs."""

    def __init__(self, reasons: Sequence[str], instead: Sequence[Instead] = ()) -> None:
        super().__init__(reasons)
        self.instead = list(instead)
        self.offer()

    def offer(self, command: str = "") -> None:
        """Say what fits; with the command that was typed, as one that works."""
        how = "" if command else "; add it to the command"
        lines = [f"This fits, as the planner has tried{how}:"] if self.instead else []
        for each in self.instead:
            lines += [f"  # {each.words}", f"  {command} {each.flags}".replace("   ", "  ")]
        self.remedy = "\n".join([*lines, "Nothing was written."])
