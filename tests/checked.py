"""Rendered projects in which nothing is wrong, to be broken for `rl-scaffolder check`."""

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scaffolder import frameworks, render
from scaffolder import spec as specs
from scaffolder.check import check
from scaffolder.project import Finding

Copy = Callable[..., Path]
TRL, CUSTOM, SMOKE = "trl_config.yaml", "custom_config.yaml", "smoke_config.yaml"
ACCELERATE = "accelerate_config.yaml"


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed when Python ends."""
    return tempfile.TemporaryDirectory()


@cache
def rendered(framework: str, algorithm: str, generation: str | None) -> Path:
    """A project of eight GPUs; each is rendered once."""
    answers: dict[str, Any] = {"project_name": "p", "framework": framework, "algorithm": algorithm}
    size = {"gpus_per_node": 8, "model": "org/m-1.7b", "generation": generation}
    spec = specs.build({**answers, **size})
    target = Path(_folder().name) / f"{framework}-{algorithm}-{generation}"
    render.create(spec, frameworks.get(framework).plan(spec), target, git=False)
    return target


def projects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A function that copies a project with its data, where no variable of ours is seen."""
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))

    def copy(framework: str = "trl", algorithm: str = "sft", generation: str | None = None) -> Path:
        target = folder / "p"
        shutil.copytree(rendered(framework, algorithm, generation), target)
        (target / "training_data.jsonl").write_text("{}\n")
        return target

    return copy


def append(file: Path, text: str) -> int:
    """Add lines; returns the number of the first."""
    before = file.read_text("utf-8")
    file.write_text(before + text + "\n", "utf-8")
    return len(before.splitlines()) + 1


def put(file: Path, key: str, value: str) -> int:
    """Change the value of a key, or add the key; returns its line."""
    lines = file.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.startswith(f"{key}:"):
            lines[number - 1] = f"{key}: {value}"
            file.write_text("\n".join(lines) + "\n", "utf-8")
            return number
    return append(file, f"{key}: {value}")


def heavy(folder: Path) -> list[Finding]:
    """What is found, without notes: those are about this machine."""
    return [finding for finding in check(folder) if finding.weight != "note"]


def only(folder: Path) -> Finding:
    (finding,) = heavy(folder)
    return finding
