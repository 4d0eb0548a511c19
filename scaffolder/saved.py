"""The answers that a project keeps, read through the models that wrote them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scaffolder import library
from scaffolder import spec as specs
from scaffolder.errors import DamagedAnswers, InvalidAnswers, MissingAnswers, NoProject
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.templates import Edition

ANSWERS = ".copier-answers.yml"


@dataclass(frozen=True)
class Saved:
    """What a project was made from. What is newer than it has its default."""

    path: Path
    """The project."""
    answers: Mapping[str, Any]
    """As they stand there, with what Copier adds."""
    spec: ProjectSpec
    plan: Plan

    @property
    def edition(self) -> Edition:
        """Which templates it is from."""
        return edition_of(self.path, self.answers)

    @property
    def choices(self) -> dict[str, Any]:
        """For its own templates, which may know answers that are gone since."""
        now = {**self.spec.model_dump(mode="json"), "plan": self.plan.model_dump(mode="json")}
        before = {name: self.answers[name] for name in self.answers if not name.startswith("_")}
        return _over(before, now)


def _over(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping over another, also where they are nested."""
    nested = {
        name: _over(before[name], value)
        for name, value in now.items()
        if isinstance(value, dict) and isinstance(before.get(name), dict)
    }
    return {**before, **now, **nested}


def read(path: Path) -> Saved:
    """Those of a project.

    Raises:
        NoProject: when there are none of ours in this folder.
        DamagedAnswers: naming each that cannot be used.
    """
    answers = read_answers(path)
    given = {name: answers[name] for name in ProjectSpec.model_fields if name in answers}
    reasons: list[str] = []
    try:
        spec = specs.build(given)
    except InvalidAnswers as error:
        reasons += error.reasons
    except MissingAnswers as error:
        reasons += [f"{name}: is missing" for name in error.names]
    try:
        plan = Plan.model_validate(answers.get("plan", {}))
    except ValidationError as error:
        reasons += specs.described(error, "plan")
    if reasons:
        edition_of(path, answers)  # or they are no answers of ours
        raise DamagedAnswers(path / ANSWERS, reasons)
    return Saved(path, answers, spec, plan)


def edition_of(path: Path, answers: Mapping[str, Any]) -> Edition:
    """Which templates answers are from."""
    version = str(answers.get("_commit", ""))
    if not version.startswith("v") or answers.keys().isdisjoint(specs.REQUIRED):
        of = "does not say which templates it came from (`_commit`)"
        why = f"its {ANSWERS} is of another version, and {of}"
        raise NoProject(path, why)
    overlay = answers.get("overlay_version")
    return Edition(version.removeprefix("v"), None if overlay is None else str(overlay))


def read_answers(path: Path) -> Mapping[str, Any]:
    """What the project was rendered with: choices, plan, and which templates.

    Raises:
        NoProject: when there are none in this folder.
    """
    try:
        answers = library.read_lines(path / ANSWERS)
    except FileNotFoundError:
        raise NoProject(path, f"it has no {ANSWERS}") from None
    if answers.problem:
        raise NoProject(path, f"its {ANSWERS} {answers.problem}")
    if not answers.entries:
        raise NoProject(path, f"its {ANSWERS} holds no answers")
    return answers.values
