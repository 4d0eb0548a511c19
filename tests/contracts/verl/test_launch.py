"""Online training starts with our config, and gets as far as a machine without GPUs lets it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.environment import variables
from contracts.rendering import variant
from contracts.verl.conftest import VERL, prepared

pytestmark = pytest.mark.alone
"""Ray on a busy machine gives up, and a launch script stops what there is of Ray on its machine."""
LIMIT = 300
"""Seconds. verl waits without end for what Ray does not have, which is a failure here."""


@pytest.mark.parametrize(("algorithm", "own"), [("grpo", False), ("ppo", False), ("grpo", True)])
def test_main_ppo_gets_as_far_as_asking_for_a_gpu(
    algorithm: str, own: bool, model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """Config, data, tokenizer, TransferQueue and resource pools are the real trainer's by then."""
    rows = prepared(tmp_path, "prompts")
    made = variant(
        "verl", algorithm, model=str(model), tracker="none", global_batch_size=8, num_generations=8
    )
    config = tmp_path / "verl_config.yaml"
    config.write_text(made.config().replace("refuse", "drop"))
    words = [str(VERL / "train_verl.py"), "--data_path", str(rows), "--config", str(config)]
    if own:  # verl's own command, as the README of a project has it
        shutil.copy(VERL / "verl_data.py", tmp_path)
        words = ["-m", "verl.trainer.main_ppo", "--config-path", str(tmp_path)]
        words += ["--config-name", "verl_config", f"data.train_files={rows}"]
        words.append(f"data.val_files={rows}")
    words.append("data.train_batch_size=4")
    words.append("actor_rollout_ref.actor.ppo_mini_batch_size=4")
    words.append(f"trainer.default_local_dir={tmp_path / 'run'}")
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**variables("verl"), **ray_folder},
        text=True,
        capture_output=True,
        timeout=LIMIT,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said[-2000:]
    assert "Total available GPUs 0 is less than total desired GPUs 1" in said
    assert re.search(r"dataset len: \d+", said) and "filter dataset len" in said
    assert str(rows) in said
