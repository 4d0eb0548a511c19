"""What TRL and Accelerate refuse of a project, `rl-scaffolder check` finds first."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

from contracts.environment import ROOT
from contracts.rendering import variant
from contracts.torture import GOAL, Tally, Torture, tortured
from contracts.trl.judging import Judge
from rl_rollouts.smoke import tiny_model
from scaffolder.frameworks import discover

SAMPLE = ROOT / "templates" / "{{base}}" / "tests" / "sample_rollouts.jsonl"
PREPARE = ROOT / "templates" / "{{trl}}" / "prepare_for_trl.py"
PROJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sft", {"sharding": "fsdp2", "tuning": "lora"}),
    ("dpo", {"sharding": "zero3"}),
    ("kto", {"sharding": "ddp"}),
    ("grpo", {"generation": "vllm_server", "global_batch_size": 112}),
    ("rloo", {"generation": "vllm_colocate", "nodes": 2, "global_batch_size": 128}),
)
BROKEN, SAME = 60, 10


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny_model.build(SAMPLE, tmp_path / "model")
    return tmp_path / "model"


def judged(algorithm: str, answers: dict[str, Any], folder: Path, model: Path) -> Tally:
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    tally, schema = Tally(), discover()["trl"].schema()
    assert schema is not None
    project, rows = folder / "p", folder / "rows.jsonl"
    project.mkdir(parents=True)
    made = variant("trl", algorithm, tracker="none", gpus_per_node=8, **answers)
    torture = Torture(made, project, schema)
    words = [str(PREPARE), "--input", str(SAMPLE), "--output", str(rows)]
    subprocess.run([sys.executable, *words], cwd=project, check=True, capture_output=True)
    rows.write_bytes(rows.read_bytes() * 4)  # enough for a step of all GPUs
    torture.run(Judge(model, rows, folder), tally, BROKEN, SAME)
    return tally


def test_check_finds_what_trl_refuses(
    tmp_path: Path, model: Path, record_property: Callable[[str, object], None]
) -> None:
    cases = [(name, answers, tmp_path / name, model) for name, answers in PROJECTS]
    tally = tortured(judged, cases)
    record_property("said", tally.words())
    assert tally.share >= GOAL and not tally.false, tally.words()
