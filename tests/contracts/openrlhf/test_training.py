"""OpenRLHF's own offline trainers train our rows with our config, on a CPU.

What only GPUs can do is left out by `CPU`; everything else is what is rendered.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.environment import variables
from contracts.openrlhf.conftest import OPENRLHF, prepared
from contracts.rendering import variant

Done = subprocess.CompletedProcess[str]


def configured(folder: Path, model: Path, algorithm: Any, **answers: Any) -> Path:
    """The smoke config, which is of a tiny model, for a few steps."""
    made = variant("openrlhf", algorithm, tracker="none", **answers)
    config = yaml.safe_load(made.render("smoke_config.yaml"))
    config["model"]["model_name_or_path"] = str(model)
    config["output_dir"] = str(folder / "run")
    config["train"] |= {"max_epochs": 1, "batch_size": 4, "micro_batch_size": 2}
    config["ckpt"]["save_steps"] = 2
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def trained(
    folder: Path, rows: Path, config: Path, *words: str
) -> "subprocess.CompletedProcess[str]":
    script = ["-m", "contracts.openrlhf.cpu", str(OPENRLHF / "train_openrlhf.py")]
    given = ["--data_path", str(rows), "--config", str(config), *words]
    return subprocess.run(
        [sys.executable, *script, *given],
        cwd=folder,
        env=variables("openrlhf"),
        text=True,
        capture_output=True,
    )


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def changed(folder: Path, model: Path) -> str:
    """What `make smoke` of a project ends with: it fails where nothing was learned."""
    words = ["--before", str(model), "--after", str(folder / "run" / "final")]
    words += ["--log", str(folder / "run" / "log.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "rl_rollouts.smoke.verify", *words],
        cwd=folder,
        env=variables("openrlhf"),
        text=True,
        capture_output=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("algorithm", ["sft", "dpo", "rm"])
def test_rows_become_a_model_that_transformers_loads(
    algorithm: str, model: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, model, algorithm)
    rows = prepared(tmp_path, config.read_text())
    done = trained(tmp_path, rows, config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"-m openrlhf.cli.train_{algorithm}" in done.stdout
    assert "loss" in log(tmp_path)[0] and "of" in changed(tmp_path, model)
