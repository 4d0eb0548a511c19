"""From what was given to a spec and its plan; else all that stands in the way, at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scaffolder import answers as given_answers
from scaffolder import frameworks, nearby, render
from scaffolder import spec as specs
from scaffolder.answers import Answers
from scaffolder.errors import InfeasiblePlan, InvalidAnswers, UnsupportedChoice, UserError
from scaffolder.frameworks import Framework
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec

PLACEHOLDER = "project"


class Resolved(NamedTuple):
    target: Path
    spec: ProjectSpec
    plan: Plan


def resolve(directory: str | None, given: Answers, malformed: Sequence[str] = ()) -> Resolved:
    """What will be rendered, and where.

    Args:
        malformed: what was said and is no answer, in words.

    Raises:
        UserError: one that says all that is wrong.
    """
    target, found = _target(directory, given)
    found += [InvalidAnswers(malformed)] if malformed else []
    try:
        spec = given_answers.spec(target, given)
        plan = nearby.plan(spec)
    except UserError as error:
        found += [error, *_behind(error, given)]
    if found:
        raise together(found)
    return Resolved(target, spec, plan)


def check_given(directory: str | None, given: Answers, malformed: Sequence[str] = ()) -> None:
    """Refuse what cannot be used, before anything is asked.

    Raises:
        UserError: one that says all that is wrong.
    """
    found = _target(directory, given)[1] if directory is not None else []
    problems = (specs.problem_with(name, value) for name, value in given.items())
    if reasons := [*malformed, *(problem for problem in problems if problem)]:
        found.append(InvalidAnswers(reasons))
    if "framework" in given:
        try:
            found += _not_offered(frameworks.get(str(given["framework"])), given)
        except UserError as error:
            found.append(error)
    if found:
        raise together(found)


def directory_problem(directory: str, given: Answers) -> str | None:
    """Why a project cannot be in a directory, or not be named after it."""
    if found := _target(directory, given)[1]:
        return f"{found[0].problem} {found[0].remedy}"
    name = given_answers.target(directory, given).name
    return None if "project_name" in given else specs.problem_with("project_name", name)


def together(errors: Sequence[UserError]) -> UserError:
    """One error that says what several say."""
    if len(errors) == 1:
        return errors[0]
    same = {type(error) for error in errors} == {InvalidAnswers}
    reasons = [reason for each in errors for reason in each.reasons or [each.problem]]
    remedies = dict.fromkeys(line for each in errors for line in each.remedy.splitlines())
    first = "Nothing was written."
    lines = [*(line for line in remedies if line and line != first), first]
    problem = errors[0].problem if same else "These stand in the way:"
    return UserError(problem, reasons=reasons, remedy="\n".join(lines))


def _target(directory: str | None, given: Answers) -> tuple[Path, list[UserError]]:
    """Where the project goes, and why it cannot go there."""
    try:
        target = given_answers.target(directory, given)
    except UserError as error:
        return Path(PLACEHOLDER), [error]
    try:
        render.check_target(target)
    except UserError as error:
        return target, [error]
    return target, []


def _behind(error: UserError, given: Answers) -> Iterator[UserError]:
    """What would be refused next, if what an error says were mended and all else stayed."""
    usable = {n: v for n, v in given.items() if not specs.problem_with(n, v)}
    if isinstance(error, InfeasiblePlan) or "framework" not in usable:
        return
    if "algorithm" not in usable:
        yield from _unknown(str(usable["framework"]))
        return
    try:
        spec = specs.build({**usable, "project_name": PLACEHOLDER})
        framework = frameworks.get(spec.framework)
    except UserError as unknown:
        if not isinstance(error, UnsupportedChoice) and unknown.reasons != error.reasons:
            yield unknown
        return
    if not isinstance(error, UnsupportedChoice):
        yield from _unsupported(spec)
    spec = _supported(framework, spec)
    if not framework.unsupported(spec):
        try:
            framework.plan(spec)
        except InfeasiblePlan as infeasible:
            yield infeasible


def _unknown(framework: str) -> Iterator[UserError]:
    try:
        frameworks.get(framework)
    except UserError as error:
        yield error


def _supported(framework: Framework, spec: ProjectSpec) -> ProjectSpec:
    """Without those refused words that change no arithmetic but their own."""
    offered = framework.offered(spec.algorithm)
    words = {"topology": framework.topologies[0], "pattern": framework.patterns[0]}
    changed: Answers = {
        name: value for name, value in words.items() if getattr(spec, name) not in offered[name]
    }
    if spec.generation not in offered["generation"]:
        changed["generation"] = None
    return spec.model_copy(update=changed)


def _not_offered(framework: Framework, given: Answers) -> Iterator[UserError]:
    """Of the words that were given those that the framework does not have."""
    known = {name: value for name, value in given.items() if not specs.problem_with(name, value)}
    offered = framework.offered(str(known.get("algorithm")))
    said = {name: known[name] for name in offered if name in known}
    if "algorithm" not in said:
        said = {"algorithm": framework.algorithms[0], **said, "generation": None}
    if any(value not in {None, *offered[name]} for name, value in said.items()):
        about = {"framework": framework.name, "project_name": PLACEHOLDER}
        yield from _unsupported(specs.build({**said, **about}))


def _unsupported(spec: ProjectSpec) -> Iterator[UserError]:
    try:
        frameworks.resolve(spec)
    except UnsupportedChoice as error:
        yield error
