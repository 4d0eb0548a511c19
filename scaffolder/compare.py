"""Which framework, and why.

What a framework can do is asked of its adapter: what `new` would refuse is refused here, with the
same reasons. What it is good at are its facts, each with a source and a date: a fact with a grade
grants a wish. Nothing here knows a framework by its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from scaffolder import frameworks
from scaffolder.candidates import BEST, Candidate, grade_of, judge, judgements, listed
from scaffolder.criteria import graded
from scaffolder.frameworks import Fact
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Algorithm, Wish


@dataclass(frozen=True)
class Comparison:
    """All frameworks, the best first, those that cannot do it last."""

    spec: ProjectSpec
    """What was asked for; its framework and algorithm mean nothing."""
    candidates: tuple[Candidate, ...]
    algorithm: Algorithm | None
    """Absent when it was not said."""
    wishes: tuple[Wish, ...]
    nearest: str | None
    """Where no framework offers what was asked: flags of the nearest that one does."""

    @property
    def possible(self) -> list[Candidate]:
        return [each for each in self.candidates if each.possible]

    @property
    def recommended(self) -> Candidate | None:
        """The first one; none where several can do it and nothing says what matters."""
        found = self.possible
        return found[0] if found and (self.most or len(found) == 1) else None

    @property
    def most(self) -> int:
        """Points of a framework that grants every wish in full."""
        return BEST * sum(each.counts for each in self.candidates[0].judgements)

    @property
    def because(self) -> str:
        """Why the first is put first, or why none is, and what it lacks of what is wanted."""
        first = self.recommended
        return self._verdict + (first.shortfall if first else "")

    @property
    def _verdict(self) -> str:
        found = self.possible
        names = listed([each.framework.title for each in found])
        if len(found) < 2:
            return f"Only {names} can do this." if found else self._nobody
        if not self.most:
            return f"{names} can do this. Nothing that matters for it was named: none is put first."
        first, second = found[:2]
        if first.score > second.score:
            why = "of those that can do this, it grants most of what matters to you"
            return f"{first.framework.title} is put first: {why}."
        tied = [each.framework.title for each in found if each.score == first.score]
        return f"{listed(tied)} tie. {first.framework.title} is put first {_tie(first, second)}."

    @property
    def _nobody(self) -> str:
        nearly = [each for each in self.candidates if each.instead]
        if not nearly:
            return "No framework here can do this."
        names = listed([each.framework.title for each in nearly])
        return f"No framework here can do this as it was asked for; {names} can, as said below."

    def gains(self, candidate: Candidate) -> tuple[list[Fact], list[Algorithm]]:
        """What a framework has that the recommended one has not, beside what was wished for: facts
        with higher grades, and algorithms."""
        first = self.recommended
        if first is None or candidate is first:
            return [], []
        theirs = graded(first.framework)
        better = [
            fact
            for wish, fact in graded(candidate.framework).items()
            if wish in theirs
            and wish not in self.wishes
            and grade_of(fact) > grade_of(theirs[wish])
        ]
        offered = candidate.framework.algorithms
        return better, [name for name in offered if name not in first.framework.algorithms]


def _tie(first: Candidate, second: Candidate) -> str:
    """What breaks a tie of the first two."""
    for mine, other in zip(first.judgements, second.judgements, strict=True):
        if mine.points != other.points:
            return f"for {mine.wish}, which you named before what else sets them apart"
    if first.framework.usual:
        return "as what is usual: what you want does not tell them apart"
    return "by the alphabet, which says nothing: what you want does not tell them apart"


def compare(
    spec: ProjectSpec,
    algorithm: Algorithm | None,
    wishes: Sequence[Wish] = (),
    fitting: str | None = None,
) -> Comparison:
    """Judge and rank every framework.

    Args:
        spec: what is asked for, whatever its framework and algorithm are.
        algorithm: when it was said; else each framework is asked for all that it offers.
        fitting: the algorithm that fits the rollouts.
    """
    found = [
        Candidate(
            framework,
            {
                name: judge(
                    framework,
                    spec.model_copy(update={"framework": framework.name, "algorithm": name}),
                )
                for name in ([algorithm] if algorithm else framework.algorithms)
            },
            judgements(framework, algorithm, wishes),
            cast(Algorithm | None, algorithm or fitting),
        )
        for framework in frameworks.discover().values()
    ]
    found.sort(key=lambda each: each.rank)
    verdicts = [verdict for each in found for verdict in each.verdicts.values()]
    nearest = (
        None if any(each.offered for each in verdicts) else frameworks.nearest(verdicts[0].spec)
    )
    return Comparison(spec, tuple(found), algorithm, tuple(wishes), nearest)
