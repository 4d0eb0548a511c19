"""Rendered projects, and the commands that a person types in them."""

import json
import shlex
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import warm
from conftest import TOOL, Result, run
from scaffolder.frameworks import discover

SAMPLE = "tests/sample_rollouts.jsonl"
LIBRARIES = (
    "torch", "torch.distributed.run", "torch.utils.tensorboard", "transformers", "accelerate",
    "datasets", "peft", "trl.trainer.sft_trainer", "transformers.models.qwen3.modeling_qwen3",
)  # fmt: skip
"""What trainers import, which takes longer than all else that they do in tests."""


def choices(*frameworks: str) -> list[Any]:
    """Each framework that trains on a CPU with each of its algorithms, or those of some; all
    but the first of each are long."""
    return [
        pytest.param(
            (name, algorithm),
            id=f"{name}-{algorithm}",
            marks=[pytest.mark.long] if algorithm != framework.algorithms[0] else [],
        )
        for name, framework in discover().items()
        if name in frameworks or not (frameworks or framework.smoke_gpus)
        for algorithm in framework.algorithms
    ]


def render(folder: Path, *arguments: str) -> Path:
    words = ["-m", "scaffolder", "new", "p", "--yes", "--json", *arguments]
    result = run([warm.python(*TOOL), *words], folder)
    assert result.returncode == 0, result.stderr
    return folder / "p"


def interpreter() -> str:
    """A `python` that has imported the libraries."""
    return warm.python(*LIBRARIES)


def make(project: Path, *arguments: str, program: str | None = None, **options: Any) -> Result:
    """make in a project, whose scripts run with a Python that has imported, or another one."""
    command = ["make", f"PYTHON={shlex.quote(program or interpreter())}", *arguments]
    return run(command, project, **options)


def python(project: Path, *arguments: str, **options: Any) -> Result:
    return run([interpreter(), *arguments], project, **options)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def curve(log: Path, key: str = "loss") -> dict[int, float]:
    """One value of each logged step."""
    return {entry["step"]: entry[key] for entry in rows(log) if key in entry}


def train(project: Path, *arguments: str, config: str = "smoke_config.yaml") -> Result:
    """A TRL project's trainer, on data that is there."""
    words = ("--data_path", "training_data.jsonl", "--config", config, *arguments)
    return python(project, "train_trl.py", *words)


def tiny(folder: Path, *arguments: str) -> Path:
    """A TRL project with data and a tiny model, ready to train."""
    project = render(folder, "--framework", "trl", *arguments)
    for command in (
        ["-m", "rl_rollouts.smoke.tiny_model", "--text", SAMPLE, "--output", "smoke/model"],
        ["prepare_for_trl.py", "--input", SAMPLE, "--output", "training_data.jsonl"],
    ):
        result = python(project, *command)
        assert result.returncode == 0, result.stderr
    return project


def script(path: Path, body: str) -> Path:
    """A program."""
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
