"""What several tests of OpenRLHF need: a tiny model, and rows made from the sample rollouts."""

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.environment import ROOT

BASE = ROOT / "templates" / "{{base}}"
OPENRLHF = ROOT / "templates" / "{{openrlhf}}"
ONLINE = OPENRLHF / "{{online}}"
SAMPLE = BASE / "tests" / "sample_rollouts.jsonl"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of random weights with a tokenizer, as `make smoke` has it."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    words = ["--text", str(SAMPLE), "--output", str(folder)]
    script = ["-m", "rl_rollouts.smoke.tiny_model"]
    subprocess.run([sys.executable, *script, *words], check=True, cwd=ROOT, capture_output=True)
    return folder


def prepared(folder: Path, config: str, *words: str) -> Path:
    """Training rows, made by the project's own scripts from all sample rollouts.

    Args:
        config: the text of the trainer's config, which says what rows it wants.
    """
    output = folder / "training_data.jsonl"
    (folder / "openrlhf_config.yaml").write_text(config, "utf-8")
    for script, given in (
        (
            BASE / "filter_rollouts.py",
            ["--input", str(SAMPLE), "--output", f"{folder}/f.jsonl"],
        ),
        (
            OPENRLHF / "prepare_for_openrlhf.py",
            ["--input", f"{folder}/f.jsonl", "--output", str(output), *words],
        ),
    ):
        done = subprocess.run(
            [sys.executable, str(script), *given], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return output
