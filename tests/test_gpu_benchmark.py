"""`make gpu`: it refuses a machine without a GPU, and its phases run small on a CPU."""

import json
import os
import sys
from pathlib import Path

import pytest

from conftest import run

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, str(ROOT / "benchmarks/gpu.py")]


def test_a_machine_without_a_gpu_is_refused(tmp_path: Path) -> None:
    without = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = run([*COMMAND, "--output", str(tmp_path / "gpu")], tmp_path, env=without)
    assert result.returncode == 2 and "shows no NVIDIA GPU" in result.stderr
    assert not list(tmp_path.iterdir())
    assert "Not run on a GPU yet" in (ROOT / "benchmarks/gpu.md").read_text("utf-8")


@pytest.mark.long
def test_its_phases_run_on_a_cpu(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--tiny", "--output", str(tmp_path / "gpu")]
    result = run([*COMMAND, *words], tmp_path, timeout=700)
    assert result.returncode == 0, result.stdout + result.stderr
    phases = json.loads((tmp_path / "gpu/gpu.json").read_text("utf-8"))["phases"]
    assert {"losses", "ended", "used", "speed", "reward"} == set(phases)
    assert phases["losses"]["found"], "the first is always reached"
