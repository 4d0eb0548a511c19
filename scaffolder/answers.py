"""Answers from files, `--set` and flags, and the spec that they make."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scaffolder import frameworks
from scaffolder import spec as specs
from scaffolder.errors import CannotWrite, InvalidAnswers, UnreadableAnswers
from scaffolder.spec import ProjectSpec

Answers = dict[str, Any]


def gather(file: Path | None, assignments: Sequence[str], flags: Mapping[str, Any]) -> Answers:
    """Answers from a file, from `--set`, and from flags; the later wins.

    Raises:
        UnreadableAnswers, InvalidAnswers
    """
    given = _read(file) if file else {}
    malformed = [word for word in assignments if "=" not in word or word.startswith("=")]
    if malformed:
        raise InvalidAnswers([f"--set {word!r}: must be key=value" for word in malformed])
    given.update({name: value for name, _, value in (word.partition("=") for word in assignments)})
    given.update({name: value for name, value in flags.items() if value is not None})
    return given


def _read(file: Path) -> Answers:
    """The answers of a YAML or JSON file; what Copier and the plan add is left out."""
    try:
        text = file.read_text("utf-8")
        loaded = _parse(text)
    except OSError as error:
        raise UnreadableAnswers(file, error.strerror or str(error)) from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
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
    try:
        return Path(os.path.normpath(Path(directory).absolute()))
    except OSError as error:
        raise CannotWrite(Path(directory), error) from None


def spec(directory: Path, given: Answers, before: Mapping[str, Any] | None = None) -> ProjectSpec:
    """The validated spec; the project is named after its directory unless told otherwise.

    Rollouts and a model folder that are there, seen from where the user stands, are named by their
    absolute path: the project is used from another folder.

    Args:
        before: answers that the project has already, as they are.
    """
    kept = before or {}
    spec = specs.build({"project_name": directory.name, **kept, **_at_home(given)})
    there = {"rollouts": Path(spec.rollouts).exists(), "model": _is_model_folder(Path(spec.model))}
    typed = [name for name in there if there[name] and (name in given or name not in kept)]
    absolute = {name: str(Path(getattr(spec, name)).absolute()) for name in typed}
    return specs.build({**spec.model_dump(), **absolute}) if absolute else spec


def _at_home(given: Answers) -> Answers:
    """`~/` in a path means the home directory also where no shell has read it."""
    paths = {name: given[name] for name in ("rollouts", "model") if name in given}
    home: Answers = {
        name: str(Path(path).expanduser()) for name, path in paths.items() if _is_home(path)
    }
    return {**given, **home}


def _is_home(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("~/")


def check_given(given: Answers) -> None:
    """Refuse answers that cannot be used, before anything is asked.

    Raises:
        InvalidAnswers: with all of them.
        BrokenFramework: when the framework's package does not load.
    """
    problems = (specs.problem_with(name, value) for name, value in given.items())
    if reasons := [problem for problem in problems if problem]:
        raise InvalidAnswers(reasons)
    if "framework" in given:
        frameworks.get(str(given["framework"]))


def _is_model_folder(path: Path) -> bool:
    return (path / "config.json").is_file()
