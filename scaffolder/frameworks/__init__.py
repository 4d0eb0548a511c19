"""The contract that every framework's adapter fulfils, and the discovery that lists adapters.

An adapter is one module of this package with a `FRAMEWORK`, or an entry point of the group
`rl_scaffolder.frameworks` in any installed package. The wizard, the tables, the tests and the
comparison follow from discovery; nothing else lists frameworks. Importing this module is cheap:
adapters are imported when they are asked for.
"""

import difflib
import importlib
import itertools
import pkgutil
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from scaffolder.errors import BrokenFramework, InvalidAnswers, UnsupportedChoice
from scaffolder.vocabulary import (
    ALGORITHMS,
    OFFLINE,
    PATTERNS,
    TOPOLOGIES,
    Algorithm,
    DatasetKind,
    Pattern,
    Topology,
)

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec

GROUP = "rl_scaffolder.frameworks"


@dataclass(frozen=True)
class Fact:
    """One thing that is true of a framework, for choosing between them."""

    criterion: str
    """What is compared, the same words for every framework."""
    value: str
    source: str
    """Where it was read or run."""
    date: str
    """When, ISO 8601: facts age."""


class Framework(ABC):
    """What the tool knows about one framework at one version."""

    name: ClassVar[str]
    """As typed: `--framework trl`. Also the name of its overlay folder."""
    title: ClassVar[str]
    homepage: ClassVar[str]
    version: ClassVar[str]
    """The exact version that everything rendered is for."""
    requirements: ClassVar[Sequence[str]]
    """What pip installs to train, pinned exactly."""
    container: ClassVar[str | None] = None
    """Image that holds the framework, when it is not installed with pip."""
    algorithms: ClassVar[Mapping[Algorithm, DatasetKind]]
    """What it can do here, and the data that each needs."""
    topologies: ClassVar[Sequence[Topology]]
    patterns: ClassVar[Sequence[Pattern]]
    unavailable: ClassVar[Mapping[str, str]] = {}
    """Why an algorithm, topology or pattern is not offered, where there is more to say."""
    facts: ClassVar[Sequence[Fact]] = ()
    overlay: Path | None = None
    """Folder of templates that a third-party package brings; ours are found by name."""

    @abstractmethod
    def plan(self, spec: "ProjectSpec") -> "Plan":
        """Turn choices into numbers, in the framework's own terms.

        Raises:
            InfeasiblePlan: with every reason.
        """

    def unsupported(self, spec: "ProjectSpec") -> list[str]:
        """All reasons why this framework cannot do what the spec asks; empty when it can."""
        reasons = [
            self._not_offered(word, value, offered)
            for word, value, offered in (
                ("algorithm", spec.algorithm, tuple(self.algorithms)),
                ("topology", spec.topology, self.topologies),
                ("pattern", spec.pattern, self.patterns),
            )
            if value not in offered
        ]
        if spec.topology == "local" and spec.nodes > 1:
            reasons.append(
                f"topology local is one machine, and nodes = {spec.nodes} were asked for"
            )
        return reasons

    def _not_offered(self, word: str, value: str, offered: Sequence[str]) -> str:
        why = self.unavailable.get(value)
        choices = ", ".join(offered)
        reason = f"{self.title} {self.version} with {word} {value}: "
        return reason + (
            f"{why} ({word} can be: {choices})" if why else f"{word} can be: {choices}"
        )


def names() -> list[str]:
    """Names of all frameworks, without importing their adapters."""
    return sorted({*_modules(), *_entry_points()})


def discover() -> Mapping[str, Framework]:
    """All adapters by name. What a third-party package breaks is in `broken`."""
    return _load()[0]


def broken() -> Mapping[str, BrokenFramework]:
    """Third-party frameworks that are registered and cannot be used, and why."""
    return _load()[1]


@cache
def _load() -> tuple[Mapping[str, Framework], Mapping[str, BrokenFramework]]:
    found: dict[str, Framework] = {}
    failed: dict[str, BrokenFramework] = {}
    for name, point in _entry_points().items():
        try:
            found[name] = _entry(point)
        except BrokenFramework as error:
            failed[name] = error
    for name in _modules():
        found[name] = importlib.import_module(f"{__name__}.{name}").FRAMEWORK
    return dict(sorted(found.items())), failed


def resolve(spec: "ProjectSpec") -> Framework:
    """The adapter of a spec that it supports.

    Raises:
        InvalidAnswers: when there is no framework of this name.
        BrokenFramework: when the package that brings it does not load.
        UnsupportedChoice: with all reasons and the nearest combination that is offered.
    """
    framework = get(spec.framework)
    reasons = framework.unsupported(spec)
    if reasons:
        raise UnsupportedChoice(reasons, _nearest(spec, discover()))
    return framework


def get(name: str) -> Framework:
    """The adapter of this name.

    Raises:
        InvalidAnswers: when there is none.
        BrokenFramework: when the package that brings it does not load.
    """
    frameworks = discover()
    if name in broken():
        raise broken()[name]
    if name not in frameworks:
        near = difflib.get_close_matches(name, frameworks, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(frameworks)}"
        raise InvalidAnswers([f"framework = {name!r}: no such framework; {hint}"])
    return frameworks[name]


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _entry(point: EntryPoint) -> Framework:
    package = point.dist.name if point.dist else point.value
    try:
        framework = point.load()
    except Exception as error:
        raise BrokenFramework(point.name, package, error) from error
    problem = _problem_with(framework, point.name)
    if problem:
        raise BrokenFramework(point.name, package, TypeError(f"{point.value} {problem}"))
    return cast(Framework, framework)


def _problem_with(framework: object, name: str) -> str | None:
    if not isinstance(framework, Framework):
        return "is no Framework"
    if framework.name != name:
        return f"is named {framework.name}, and its entry point {name}"
    if not name.isidentifier():
        return f"has the name {name!r}, which must be letters, digits and underscores"
    if framework.overlay is None or not framework.overlay.is_dir():
        return f"has no folder of templates (overlay = {framework.overlay})"
    return None


def _nearest(spec: "ProjectSpec", frameworks: Mapping[str, Framework]) -> str:
    """The offered combination that changes least, as the flags to type."""
    candidates = itertools.product(frameworks, ALGORITHMS, TOPOLOGIES, PATTERNS, (spec.nodes, 1))
    offered = (
        candidate
        for framework, algorithm, topology, pattern, nodes in candidates
        if not frameworks[framework].unsupported(
            candidate := spec.model_copy(
                update={
                    "framework": framework,
                    "algorithm": algorithm,
                    "topology": topology,
                    "pattern": pattern,
                    "nodes": nodes,
                }
            )
        )
    )
    best = min(offered, key=lambda candidate: _distance(spec, candidate))
    flags = ("framework", "algorithm", "topology", "pattern", "nodes")
    return " ".join(f"--{name} {shlex.quote(str(getattr(best, name)))}" for name in flags)


def _distance(spec: "ProjectSpec", other: "ProjectSpec") -> int:
    """Cost of a change: what one wants to do weighs more than with what, and that than where."""
    changed = {
        name: getattr(spec, name) != getattr(other, name)
        for name in ("framework", "algorithm", "topology", "pattern", "nodes")
    }
    other_family = (spec.algorithm in OFFLINE) != (other.algorithm in OFFLINE)
    weights = {"algorithm": 8, "framework": 4, "topology": 2, "pattern": 1, "nodes": 1}
    return 8 * other_family + sum(weights[name] for name in changed if changed[name])


def matrix() -> Iterable[tuple[Framework, Algorithm, Topology, Pattern]]:
    """Every combination that is offered."""
    for framework in discover().values():
        yield from itertools.product(
            [framework], framework.algorithms, framework.topologies, framework.patterns
        )
