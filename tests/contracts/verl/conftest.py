"""What several tests of verl need: a tiny model, and rows made from the sample rollouts."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.environment import ROOT

BASE = ROOT / "templates" / "{{base}}"
VERL = ROOT / "templates" / "{{verl}}"
LIBRARY = ROOT / "runtime" / "rl_rollouts"
SAMPLE = ROOT / "templates" / "{{base}}" / "tests" / "sample_rollouts.jsonl"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of random weights with a tokenizer, as `make smoke` has it."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    words = ["--text", str(SAMPLE), "--output", str(folder)]
    script = ["-m", "rl_rollouts.smoke.tiny_model"]
    subprocess.run([sys.executable, *script, *words], check=True, cwd=ROOT, capture_output=True)
    return folder


def prepared(folder: Path, kind: str, name: str = "training_data.jsonl") -> Path:
    """Training rows, made by the project's own scripts from all sample rollouts."""
    output = folder / name
    for script, words in (
        ("filter_rollouts.py", ["--input", str(SAMPLE), "--output", str(folder / "f.jsonl")]),
        (
            "prepare_for_verl.py",
            ["--input", str(folder / "f.jsonl"), "--output", str(output), "--kind", kind],
        ),
    ):
        path = next(each / script for each in (BASE, VERL) if (each / script).is_file())
        done = subprocess.run(
            [sys.executable, str(path), *words], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def ray_folder() -> Iterator[dict[str, str]]:
    """Variables with which Ray keeps its state apart: it joins whatever cluster is in /tmp/ray,
    also one that a test before has left and that is just ending. Names of sockets must be short."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield {"RAY_TMPDIR": folder}


@pytest.fixture
def sft_rows(tmp_path: Path) -> Path:
    return prepared(tmp_path, "sft")


@pytest.fixture
def prompt_rows(tmp_path: Path) -> Path:
    return prepared(tmp_path, "prompts")
