"""The files that a launch needs, and those that it must not find."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from scaffolder import frameworks
from scaffolder.frameworks import Framework
from scaffolder.project import Config, Finding, Project, read_text
from scaffolder.vocabulary import TRACKERS

WEIGHTS = ("*.safetensors", "*.bin", "*.safetensors.index.json")
TRACKER_KEYS = {"wandb": ("WANDB_API_KEY", "error"), "mlflow": ("MLFLOW_TRACKING_URI", "note")}


def check(project: Project) -> Iterator[Finding]:
    adapter = frameworks.get(project.spec.framework)
    keys = adapter.keys(project.spec.algorithm)
    yield from _data(project)
    yield from _tracker(project, keys.tracker)
    if not project.config.problem:
        yield from _model(project, project.config, keys.model)
        yield from _output(project, project.config, keys.output, adapter)


def _data(project: Project) -> Iterator[Finding]:
    if _is_there(project.path / "training_data.jsonl"):
        return
    rollouts = project.spec.rollouts
    if _is_there(_place(project, rollouts)):
        problem = "training_data.jsonl is not there yet"
        yield Finding("note", problem, "make prepare writes it.")
        return
    yield Finding(
        "error",
        f"there is neither training_data.jsonl nor {rollouts}, the rollouts to make it from",
        "make prepare ROLLOUTS=... with the right path, or make collect.",
    )


def _model(project: Project, config: Config, key: str | None) -> Iterator[Finding]:
    """A local folder is looked into; an id of the Hugging Face Hub is not asked for."""
    model = config.get(key, project.spec.model) if key else project.spec.model
    if not isinstance(model, str) or not model:
        return
    folder = _place(project, model)
    if not _is_there(folder):
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
            problem = f"the model {model} is no folder, and no id of the Hugging Face Hub"
            yield config.finding("error", key, problem, "Give a folder that is there.")
        return
    if not (folder / "config.json").is_file():
        problem = f"the model's folder {model} has no config.json"
        yield config.finding("error", key, problem, "Give a Hugging Face model folder.")
    if not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        problem = f"the model's folder {model} has no weights (*.safetensors)"
        yield config.finding("error", key, problem, "Copy or download all files of the model.")


def _output(
    project: Project, config: Config, key: str | None, adapter: Framework
) -> Iterator[Finding]:
    output = config.get(key) if key else None
    if not isinstance(output, str):
        return
    folder = _place(project, output)
    if _is_there(folder) and not folder.is_dir():
        problem = f"{output} is a file, and the run is to be written into a folder"
        yield config.finding("error", key, problem, f"Choose another {key}.")
        return
    if _is_there(folder / "final"):
        problem = f"{output} already holds a finished run"
        yield config.finding("error", key, problem, f"Choose another {key}, or move it away.")
    elif _is_there(folder) and any(folder.glob(adapter.checkpoint)):
        problem = f"{output} holds a run that was begun"
        remedy = f"Go on with {adapter.resume}, or choose another {key}."
        yield config.finding("warning", key, problem, remedy)
    parent = next(each for each in (folder, *folder.parents) if _is_there(each))
    if not os.access(parent, os.W_OK):
        problem = f"{output} cannot be written: {parent} is read-only"
        yield config.finding("error", key, problem, f"Choose another {key}.")


def _place(project: Project, path: str) -> Path:
    """A path of a config, seen from the project."""
    try:
        return project.path / Path(path).expanduser()
    except RuntimeError:  # no such user as in ~name
        return project.path / path


def _is_there(path: Path) -> bool:
    """Also for names that no file system takes, and folders that one may not look into."""
    try:
        return path.exists()
    except OSError:
        return False


def _tracker(project: Project, key: str | None) -> Iterator[Finding]:
    said = project.config.get(key, project.spec.tracker) if key else project.spec.tracker
    trackers = said if isinstance(said, list) else [said]
    for tracker in trackers:
        if tracker in TRACKERS and tracker not in {"none", project.spec.tracker}:
            yield project.config.finding(
                "warning",
                key,
                f"{tracker} follows the run, and the project was made for {project.spec.tracker}: "
                f"its pyproject.toml does not install {tracker}",
                f"Add {tracker} to the train extra of pyproject.toml, and make install.",
            )
        if tracker == "wandb" and _is_logged_in():
            continue
        name, weight = TRACKER_KEYS.get(str(tracker), ("", "note"))
        if name and name not in os.environ and name not in _environment(project.path / ".env"):
            yield Finding(
                "error" if weight == "error" else "note",
                f"{tracker} follows the run, and {name} is set neither in .env nor outside",
                "cp .env.example .env, and fill it in.",
                ".env",
            )


def _environment(file: Path) -> set[str]:
    """Names that a .env file gives a value."""
    try:
        text = read_text(file)
    except (OSError, ValueError):
        return set()
    return set(re.findall(r"^\s*(?:export\s+)?(\w+)=[^\s#]", text, re.MULTILINE))


def _is_logged_in() -> bool:
    """`wandb login` writes its key here."""
    try:
        return "api.wandb.ai" in read_text(Path.home() / ".netrc")
    except (OSError, ValueError, RuntimeError):
        return False
