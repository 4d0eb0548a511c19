"""The scripts that start the trainer: on which GPUs, with which server beside it."""

import os
import subprocess
from pathlib import Path

import pytest

from projects import render, script


@pytest.mark.parametrize(
    ("present", "visible", "said"),
    [
        (0, "", "only 'make smoke' trains"),
        (1, "", "Render it again with --gpus-per-node 1"),
        (4, "3", "this machine shows 1"),
        (4, "", None),
        (4, "2,3", None),
        (4, "3,1,0", None),
    ],
)
def test_launch_script_counts_gpus_and_passes_arguments_on(
    tmp_path: Path, present: int, visible: str, said: str | None
) -> None:
    two = render(tmp_path, "--framework", "trl", "--algorithm", "sft", "--gpus-per-node", "2")
    (two / ".env").write_text("WANDB_API_KEY='a b'\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    no_driver = "echo NVIDIA-SMI has failed; exit 9"
    script(tools / "nvidia-smi", "\n".join(f"echo {gpu}" for gpu in range(present)) or no_driver)
    recorder = script(
        tools / "python", 'printf "%s|" "$CUDA_VISIBLE_DEVICES" "$WANDB_API_KEY" "$@"'
    )
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": str(recorder), "DATA": "a b"}
    environment |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
    command = [str(two / "launch/local.sh"), "--learning_rate", "1e-6"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if said:
        assert result.returncode == 2
        assert "planned for 2 GPU(s)" in result.stderr and said in result.stderr
        return
    assert result.stdout.split("|")[:-1] == [
        *(
            ",".join((visible or "0,1").split(",")[:2]),
            "a b",
            "-m",
            "accelerate.commands.launch",
            "--config_file",
        ),
        *("accelerate_config.yaml", "train_trl.py", "--data_path", "a b"),
        *("--config", "trl_config.yaml", "--learning_rate", "1e-6"),
    ]
