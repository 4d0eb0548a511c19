"""Which framework, and why.

What a framework can do is asked of its adapter: what `new` would refuse is refused here, with the
same reasons. What it is good at are its facts, each with a source and a date: a fact with a grade
grants a wish. Nothing here knows a framework by its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from scaffolder import frameworks
from scaffolder.criteria import graded
from scaffolder.errors import InfeasiblePlan
from scaffolder.frameworks import Fact, Framework
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE, ONLINE_WISHES, Algorithm, Wish

BEST = 2
"""The highest grade of a wish."""


@dataclass(frozen=True)
class Verdict:
    """Whether a framework can do what a spec asks, and how."""

    spec: ProjectSpec
    plan: Plan | None
    """Absent when it cannot."""
    reasons: tuple[str, ...] = ()
    """Why it cannot: all of them."""
    offered: bool = True
    """False when sizes have nothing to do with it."""


@dataclass(frozen=True)
class Judgement:
    """What is known of one wish."""

    wish: Wish
    fact: Fact | None
    """Absent when nothing is known."""
    counts: bool
    """False when the wish says nothing about the algorithm."""

    @property
    def points(self) -> int:
        return _grade(self.fact) if self.fact and self.counts else 0


@dataclass(frozen=True)
class Candidate:
    """One framework in the light of what was asked."""

    framework: Framework
    verdicts: Mapping[Algorithm, Verdict]
    """Of the algorithm that was asked for; else of each that the framework offers."""
    judgements: tuple[Judgement, ...]
    """In the order of the wishes."""
    fitting: Algorithm | None
    """The algorithm that fits the rollouts."""

    @property
    def name(self) -> str:
        return self.framework.name

    @cached_property
    def possible(self) -> list[Algorithm]:
        return [name for name, verdict in self.verdicts.items() if verdict.plan]

    @property
    def chosen(self) -> Verdict | None:
        """What a project would be made of: the fitting algorithm, else the first possible one."""
        if not self.possible:
            return None
        fits = self.fitting in self.possible
        return self.verdicts[cast(Algorithm, self.fitting) if fits else self.possible[0]]

    @property
    def algorithm(self) -> Algorithm | None:
        return self.chosen.spec.algorithm if self.chosen else None

    @cached_property
    def refused(self) -> dict[str, list[Algorithm]]:
        """Every reason for which something cannot be done, with the algorithms that it stops."""
        found: dict[str, list[Algorithm]] = {}
        for name, verdict in self.verdicts.items():
            for reason in verdict.reasons:
                found.setdefault(reason, []).append(name)
        return found

    @property
    def score(self) -> int:
        return sum(each.points for each in self.judgements)

    @property
    def rank(self) -> tuple[bool, int, tuple[int, ...], str]:
        """Possible ones first; the order of the wishes, then the alphabet, breaks ties."""
        points = tuple(-each.points for each in self.judgements)
        return not self.possible, -self.score, points, self.name


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
        """Why the first is put first, or why none is."""
        found = self.possible
        names = _listed([each.framework.title for each in found])
        if len(found) < 2:
            return f"Only {names} can do this." if found else "No framework here can do this."
        if not self.most:
            return f"{names} can do this. Nothing that matters for it was named: none is put first."
        first, second = found[:2]
        if first.score > second.score:
            why = "of those that can do this, it grants most of what matters to you"
            return f"{first.framework.title} is put first: {why}."
        tied = [each.framework.title for each in found if each.score == first.score]
        return f"{_listed(tied)} tie. {first.framework.title} is put first {_tie(first, second)}."

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
            if wish in theirs and wish not in self.wishes and _grade(fact) > _grade(theirs[wish])
        ]
        offered = candidate.framework.algorithms
        return better, [name for name in offered if name not in first.framework.algorithms]


def _grade(fact: Fact) -> int:
    return fact.grade or 0


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def _tie(first: Candidate, second: Candidate) -> str:
    """What breaks a tie of the first two."""
    for mine, other in zip(first.judgements, second.judgements, strict=True):
        if mine.points != other.points:
            return f"for {mine.wish}, which you named before what else sets them apart"
    return "by the alphabet, which says nothing: what you want does not tell them apart"


def judge(framework: Framework, spec: ProjectSpec) -> Verdict:
    """What `new` would say of a spec with this framework."""
    if reasons := framework.unsupported(spec):
        return Verdict(spec, None, tuple(reasons), offered=False)
    try:
        return Verdict(spec, framework.plan(spec))
    except InfeasiblePlan as error:
        return Verdict(spec, None, tuple(error.reasons))


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
            _judgements(framework, algorithm, wishes),
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


def _judgements(
    framework: Framework, algorithm: Algorithm | None, wishes: Sequence[Wish]
) -> tuple[Judgement, ...]:
    facts, offline = graded(framework), algorithm in OFFLINE
    return tuple(
        Judgement(wish, facts.get(wish), counts=not (offline and wish in ONLINE_WISHES))
        for wish in wishes
    )
