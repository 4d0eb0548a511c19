"""The contract that every framework's adapter fulfils, and the discovery that lists adapters.

An adapter is the `FRAMEWORK` of one folder here, or an entry point of the group
`rl_scaffolder.frameworks` in any installed package. The wizard, the tables, the tests and the
comparison follow from discovery; nothing else lists frameworks. Importing this module is cheap:
adapters are imported when they are asked for.
"""

import difflib
import importlib
import itertools
import pkgutil
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from scaffolder.errors import BrokenFramework, InvalidAnswers, UnsupportedChoice
from scaffolder.frameworks.contract import Fact, Framework, Grade
from scaffolder.vocabulary import (
    NEAREST,
    OFFLINE,
    Algorithm,
    Pattern,
    Topology,
)

if TYPE_CHECKING:
    from scaffolder.spec import ProjectSpec

__all__ = [
    "Fact",
    "Framework",
    "Grade",
    "broken",
    "discover",
    "get",
    "matrix",
    "names",
    "nearest",
    "resolve",
    "usual",
    "variants",
]

GROUP = "rl_scaffolder.frameworks"


def names() -> list[str]:
    """Names of all frameworks, without importing their adapters."""
    return sorted({*_folders(), *_entry_points()})


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
    for name in _folders():
        found[name] = importlib.import_module(f"{__name__}.{name}").FRAMEWORK
    return dict(sorted(found.items())), failed


def resolve(spec: "ProjectSpec") -> Framework:
    """The adapter of a spec that it supports.

    Raises:
        InvalidAnswers: when there is no framework of this name.
        BrokenFramework: when the package that brings it does not load.
        UnsupportedChoice: with all reasons, who else offers what is refused, and the nearest
            combination that is offered.
    """
    framework = get(spec.framework)
    if reasons := framework.unsupported(spec):
        raise UnsupportedChoice(reasons, nearest(spec), list(_elsewhere(framework, spec)))
    return framework


def _elsewhere(framework: Framework, spec: "ProjectSpec") -> Iterable[str]:
    """Who offers what a framework refuses, a sentence each."""
    for word, offered in framework.offered(spec.algorithm).items():
        value = getattr(spec, word)
        if value is None or value in offered:
            continue
        others = [
            name for name, each in discover().items() if value in each.offered(spec.algorithm)[word]
        ]
        if others:
            yield f"{word} {value} is offered by {', '.join(others)}."


def usual(names: Iterable[str]) -> str:
    """Of some frameworks the one to begin with, when nothing speaks for another."""
    candidates = list(names)
    return next((name for name in candidates if discover()[name].usual), candidates[0])


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


def _folders() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if module.ispkg]


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
    found = cast(Framework, framework)
    found.overlay_version = found.overlay_version or (point.dist.version if point.dist else "0")
    return found


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


def nearest(spec: "ProjectSpec") -> str:
    """The offered combination that changes least, as the flags to type."""
    candidates = [
        spec.model_copy(update={"framework": name, "algorithm": algorithm, **choice})
        for name, each in discover().items()
        for algorithm in each.algorithms
        for choice in _choices(each, algorithm, spec)
    ]
    candidates.sort(key=lambda candidate: _distance(spec, candidate))
    best = next(each for each in candidates if not discover()[each.framework].unsupported(each))
    chosen = {name: getattr(best, name) for name in WEIGHTS}
    shown = {
        name: value
        for name, value in chosen.items()
        if name in ALWAYS_SHOWN
        or value != getattr(spec, name)
        or value != type(spec).model_fields[name].default
    }
    return " ".join(_typed(name, value) for name, value in shown.items())


def _typed(name: str, value: str | None) -> str:
    if value is None:
        return f"--set {name}=null"
    return (
        f"--set {name}={value}" if name in WITHOUT_FLAG else f"--{name} {shlex.quote(str(value))}"
    )


WITHOUT_FLAG = ("rows_with_tools",)
ALWAYS_SHOWN = ("framework", "algorithm", "topology", "pattern")


def _choices(
    framework: Framework, algorithm: Algorithm, spec: "ProjectSpec"
) -> Iterable[dict[str, str | None]]:
    """What may stand beside an algorithm: of what was chosen all that is offered, and nothing where
    it may follow from the rest."""
    offered = framework.offered(algorithm)
    names = [name for name in offered if name != "algorithm"]
    axes: list[Sequence[str | None]] = []
    for name in names:
        asked, given = getattr(spec, name), offered[name]
        follows = type(spec).model_fields[name].default is None
        axes.append([asked] if asked is None else [*given, *([None] if follows else [])])
    yield from (dict(zip(names, values, strict=True)) for values in itertools.product(*axes))


WEIGHTS = {
    "framework": 4,
    "algorithm": 8,
    "topology": 2,
    "pattern": 1,
    "tuning": 2,
    "sharding": 1,
    "generation": 1,
    "rows_with_tools": 1,
}


def _distance(spec: "ProjectSpec", other: "ProjectSpec") -> float:
    """Cost of a change: what one wants to do weighs more than with what, and that than where. Of
    changes that cost the same the nearest in meaning, and the usual framework, cost least."""
    changes = {name: (getattr(spec, name), getattr(other, name)) for name in WEIGHTS}
    changed = {name: words for name, words in changes.items() if words[0] != words[1]}
    other_family = (spec.algorithm in OFFLINE) != (other.algorithm in OFFLINE)
    finer = sum(WEIGHTS[name] * _steps(*words) for name, words in changed.items())
    unusual = "framework" in changed and not discover()[other.framework].usual
    whole = 8 * other_family + sum(WEIGHTS[name] for name in changed)
    return whole + finer / 1000 + unusual / 10_000


def _steps(word: str, other: str) -> int:
    near = NEAREST.get(word, ())
    return near.index(other) if other in near else len(near)


def matrix() -> Iterable[tuple[Framework, Algorithm, Topology, Pattern]]:
    """Every combination that is offered."""
    for framework in discover().values():
        yield from itertools.product(
            [framework], framework.algorithms, framework.topologies, framework.patterns
        )


def variants(framework: Framework, algorithm: Algorithm) -> Iterable[dict[str, str]]:
    """Every tuning, sharding and generation that is offered with an algorithm, as answers.

    An adapter may still refuse some of them together; `unsupported` says so.
    """
    offered = framework.offered(algorithm)
    generations = offered["generation"]
    for tuning, sharding in itertools.product(offered["tuning"], offered["sharding"]):
        answers = {"tuning": str(tuning), "sharding": str(sharding)}
        yield from ({**answers, "generation": str(each)} for each in generations)
        if not generations:
            yield answers
