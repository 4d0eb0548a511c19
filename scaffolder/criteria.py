"""What is known of the frameworks, side by side: what adapters declare, and their facts."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from scaffolder.errors import InvalidAnswers
from scaffolder.frameworks import Fact, Framework
from scaffolder.vocabulary import WISHES, Wish

DECLARED = ("algorithms", "topologies", "tunings", "shardings", "generations")
"""What adapters declare beside their facts."""


def known_wishes(words: Sequence[str]) -> tuple[Wish, ...]:
    """Words as wishes, each once, in their order.

    Raises:
        InvalidAnswers: naming every word that is none.
    """
    unknown = [word for word in words if word not in WISHES]
    if unknown:
        raise InvalidAnswers([f"--want {word}: no such wish; {_hint(word)}" for word in unknown])
    return cast(tuple[Wish, ...], tuple(dict.fromkeys(words)))


def _hint(word: str) -> str:
    near = difflib.get_close_matches(word, WISHES, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(WISHES)}"


def graded(framework: Framework) -> dict[Wish, Fact]:
    """Facts by the wish that each grades, in the order of the vocabulary."""
    facts = {fact.criterion: fact for fact in framework.facts if fact.grade is not None}
    return {wish: facts[wish] for wish in WISHES if wish in facts}


@dataclass(frozen=True)
class Row:
    """One criterion over several frameworks."""

    criterion: str
    cells: tuple[Fact | str | None, ...]
    """A fact, what the adapter declares, or nothing where it is not known."""

    @property
    def differs(self) -> bool:
        return len({each.value if isinstance(each, Fact) else each for each in self.cells}) > 1


def rows(compared: Sequence[Framework]) -> list[Row]:
    """Everything that is known: what adapters declare, the wishes, and their other facts."""
    declared = [
        Row(name, tuple(", ".join(getattr(each, name)) or None for each in compared))
        for name in DECLARED
    ]
    facts = [{fact.criterion: fact for fact in each.facts} for each in compared]
    others = dict.fromkeys(name for each in facts for name in each if name not in WISHES)
    criteria = [*(name for name in WISHES if any(name in each for each in facts)), *others]
    return [*declared, *(Row(name, tuple(each.get(name) for each in facts)) for name in criteria)]
