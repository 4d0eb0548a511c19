"""One framework in the light of what was asked: what it can do, and what it grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from scaffolder import nearby
from scaffolder.criteria import graded
from scaffolder.errors import InfeasiblePlan
from scaffolder.frameworks import Fact, Framework
from scaffolder.instead import Instead, TooLarge
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
    instead: tuple[Instead, ...] = ()
    """What fits where the model does not."""


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
        return grade_of(self.fact) if self.fact and self.counts else 0


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
    def instead(self) -> list[tuple[Algorithm, Instead]]:
        """What fits of the first algorithm that does not as it was asked for, where none does."""
        offers = [each for each in self.verdicts.values() if each.instead]
        if self.possible or not offers:
            return []
        return [(offers[0].spec.algorithm, each) for each in offers[0].instead]

    @property
    def score(self) -> int:
        return sum(each.points for each in self.judgements)

    @property
    def rank(self) -> tuple[bool, int, tuple[int, ...], bool, str]:
        """Possible ones first; the order of the wishes breaks ties, then what is usual, then the
        alphabet."""
        points = tuple(-each.points for each in self.judgements)
        return not self.possible, -self.score, points, not self.framework.usual, self.name

    @property
    def shortfall(self) -> str:
        """What of the wishes it does not grant in full, a sentence; empty where it grants all."""
        counted = [each for each in self.judgements if each.counts]
        unknown = [each.wish for each in counted if each.fact is None]
        said = {
            "does not grant": [each.wish for each in counted if each.fact and not each.points],
            "grants only in part": [each.wish for each in counted if each.points == 1],
            "says nothing of": unknown,
        }
        parts = [f"{verb} {listed(wishes)}" for verb, wishes in said.items() if wishes]
        return f" It {', and '.join(parts)}." if parts else ""


def grade_of(fact: Fact) -> int:
    return fact.grade or 0


def listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def judge(framework: Framework, spec: ProjectSpec) -> Verdict:
    """What `new` would say of a spec with this framework."""
    if reasons := framework.unsupported(spec):
        return Verdict(spec, None, tuple(reasons), offered=False)
    try:
        return Verdict(spec, framework.plan(spec))
    except InfeasiblePlan as error:
        others = nearby.instead(framework, spec) if isinstance(error, TooLarge) else []
        return Verdict(spec, None, tuple(error.reasons), instead=tuple(others))


def judgements(
    framework: Framework, algorithm: Algorithm | None, wishes: Sequence[Wish]
) -> tuple[Judgement, ...]:
    facts, offline = graded(framework), algorithm in OFFLINE
    return tuple(
        Judgement(wish, facts.get(wish), counts=not (offline and wish in ONLINE_WISHES))
        for wish in wishes
    )
