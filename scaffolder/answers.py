"""Answers from files, `--set` and flags, and the spec that they make."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scaffolder import library
from scaffolder import spec as specs
from scaffolder.errors import CannotWrite, InvalidAnswers, UnreadableAnswers
from scaffolder.spec import ProjectSpec

Answers = dict[str, Any]
AUTOMATIC = "null"
"""Said of an answer that is to follow from the others again."""


def gather(file: Path | None, assignments: Sequence[str], flags: Mapping[str, Any]) -> Answers:
    """Answers from a file, from `--set`, and from flags; the later wins.

    Raises:
        UnreadableAnswers, InvalidAnswers
    """
    if reasons := malformed(assignments):
        raise InvalidAnswers(reasons)
    return gather_usable(file, assignments, flags)


def malformed(assignments: Sequence[str]) -> list[str]:
    """What was given with `--set` and is no answer, in words."""
    wrong = (word for word in assignments if "=" not in word or word.startswith("="))
    return [f"--set {word!r}: must be key=value" for word in wrong]


def gather_usable(
    file: Path | None, assignments: Sequence[str], flags: Mapping[str, Any]
) -> Answers:
    """The same without what is malformed, for who says that together with all else."""
    given = _read(file) if file else {}
    assignments = [word for word in assignments if not malformed([word])]
    given.update({name: value for name, _, value in (word.partition("=") for word in assignments)})
    given.update({name: value for name, value in flags.items() if value is not None})
    automatic = [name for name in given if given[name] == AUTOMATIC and specs.may_be_absent(name)]
    return given | dict.fromkeys(automatic)


def _read(file: Path) -> Answers:
    """The answers of a YAML or JSON file; what Copier and the plan add is left out."""
    try:
        text = file.read_text("utf-8")
        loaded = _parse(text)
    except OSError as error:
        raise UnreadableAnswers(file, error.strerror or str(error)) from None
    except (ValueError, RecursionError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise UnreadableAnswers(file, f"it is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(loaded, dict):
        raise UnreadableAnswers(file, "it holds no `name: value` lines")
    return {
        str(name): value
        for name, value in loaded.items()
        if not str(name).startswith("_") and name != "plan"
    }


def _parse(text: str) -> Any:
    """JSON where it is, because YAML reads tabs and escaped emoji in another way."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def target(directory: str | None, given: Answers) -> Path:
    """Where the project goes, absolute: the given directory, or one named after what it does.

    Raises:
        InvalidAnswers: for an empty name.
        CannotWrite: when the working directory is gone.
    """
    if directory is not None and not directory.strip():
        raise InvalidAnswers(["DIR: must not be empty"])
    if directory is None:
        words = [str(given[name]) for name in ("framework", "algorithm") if name in given]
        directory = str(given.get("project_name") or "-".join(words) or "project")
    return absolute(Path(directory))


def absolute(path: Path) -> Path:
    """A path from the root, without `..`.

    Raises:
        CannotWrite: when the working directory is gone.
    """
    try:
        return Path(os.path.normpath(path.absolute()))
    except OSError:
        gone = OSError(None, "the folder in which you are is gone")
        raise CannotWrite(path, gone) from None


def spec(directory: Path, given: Answers, before: Mapping[str, Any] | None = None) -> ProjectSpec:
    """The validated spec; the project is named after its directory unless told otherwise.

    Rollouts and a model folder that are there, seen from where the user stands, are named by their
    absolute path: the project is used from another folder.

    Args:
        before: answers that the project has already, as they are.
    """
    kept = before or {}
    spec = specs.build({"project_name": directory.name, **kept, **_at_home(given)})
    _check_keys(spec)
    typed = [name for name in ("rollouts", "model") if name in given or name not in kept]
    there = {name: Path(getattr(spec, name)) for name in typed if _is_there(spec, name)}
    named = {name: str(path.absolute()) for name, path in there.items()}
    return specs.build({**spec.model_dump(), **named}) if named else spec


def _check_keys(spec: ProjectSpec) -> None:
    """See that what rollouts call otherwise is read at all.

    Raises:
        InvalidAnswers: when it is not.
    """
    try:
        library.keys(spec.keys or "")
    except library.load("errors").UserError as error:
        raise InvalidAnswers([f"{error.problem} {error.remedy}"]) from None


def _is_there(spec: ProjectSpec, name: str) -> bool:
    """Whether rollouts or a model folder are on this machine.

    Raises:
        InvalidAnswers: when nobody may look.
    """
    path = Path(getattr(spec, name))
    try:
        return (path / "config.json" if name == "model" else path).exists()
    except OSError as error:
        raise InvalidAnswers([f"{name} = {str(path)!r}: {error.strerror}"]) from None


def _at_home(given: Answers) -> Answers:
    """`~/` in a path means the home directory also where no shell has read it."""
    paths = {name: given[name] for name in ("rollouts", "model") if name in given}
    home: Answers = {
        name: str(Path(path).expanduser()) for name, path in paths.items() if _is_home(path)
    }
    return {**given, **home}


def _is_home(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("~/")
