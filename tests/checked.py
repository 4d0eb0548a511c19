"""Rendered projects in which nothing is wrong, to be broken for `rl-scaffolder check`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.rendering import variant, write
from scaffolder.check import check
from scaffolder.project import Finding

Copy = Callable[..., Path]
TRL, CUSTOM, SMOKE = "trl_config.yaml", "custom_config.yaml", "smoke_config.yaml"
ACCELERATE, VERL = "accelerate_config.yaml", "verl_config.yaml"


def render(folder: Path, framework: str, algorithm: str, **answers: Any) -> None:
    """A project for eight GPUs, without waiting for Copier."""
    folder.mkdir()
    write(variant(framework, algorithm, gpus_per_node=8, model="org/m-1.7b", **answers), folder)


def projects(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A function that renders a project with its data, where no variable of ours is seen."""
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))

    def new(
        framework: str = "trl",
        algorithm: str = "sft",
        generation: str | None = None,
        **answers: Any,
    ) -> Path:
        target = folder / "p"
        render(target, framework, algorithm, generation=generation, **answers)
        for data in ("training_data.jsonl", "training_data.eval.jsonl"):
            (target / data).write_text("{}\n" * 2000)
        return target

    return new


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


def change(file: Path, old: str, new: str) -> int:
    """Put a text in place of another; returns the line."""
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def heavy(folder: Path) -> list[Finding]:
    """What is found, without notes: those are about this machine."""
    return [finding for finding in check(folder) if finding.weight != "note"]


def only(folder: Path) -> Finding:
    (finding,) = heavy(folder)
    return finding
