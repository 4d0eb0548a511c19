"""Of OpenRLHF's own tests, which its wheel installs, those of what projects rely on."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from contracts.environment import variables
from contracts.openrlhf import cpu

RELIED_ON = (
    "agent", "dataset_utils", "deepspeed_save_model", "preference_eval", "pretrain_loss_mask",
    "sft_trainer",
)  # fmt: skip


def test_its_own_tests_pass_here() -> None:
    site = Path(str(distribution("openrlhf").locate_file("")))
    files = [str(site / "tests" / f"test_{name}.py") for name in RELIED_ON]
    stand_ins = str(Path(cpu.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *files],
        cwd=site,
        env=variables("openrlhf") | {"PYTHONPATH": os.pathsep.join([stand_ins, str(site)])},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count(".") > 100, "a dot each"
