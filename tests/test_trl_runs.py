"""TRL's trainers, run on a CPU: several processes, and runs that end before their end."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from projects import choices, curve, python, render, rows, train, until



@pytest.fixture
def quick(trl: Path) -> Iterator[tuple[str, ...]]:
    """Arguments of a run of two steps, whose output is removed afterwards."""
    yield ("--max_steps", "2", "--output_dir", "outputs/quick")
    shutil.rmtree(trl / "outputs", ignore_errors=True)


def test_ctrl_c_while_training_says_how_to_go_on(trl: Path) -> None:
    output = trl / "outputs" / "stopped"
    words = ["--data_path", "training_data.jsonl", "--config", "smoke_config.yaml"]
    more = ["--max_steps", "100000", "--save_steps", "2", "--output_dir", str(output)]
    command = [sys.executable, "train_trl.py", *words, *more]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=trl, stdout=pipe, stderr=pipe, text=True) as process:
        until(lambda: any(output.glob("checkpoint-*/trainer_state.json")))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    shutil.rmtree(output.parent)
    assert process.returncode == 130
    assert "--resume_from_checkpoint latest" in stderr


def test_a_finished_run_is_not_overwritten_and_resume_goes_on(
    trl: Path, quick: tuple[str, ...]
) -> None:
    assert train(trl, *quick, "--save_steps", "1").returncode == 0
    weights = (trl / "outputs/quick/final/model.safetensors").read_bytes()
    for check in ((), ("--check_only",)):
        again = train(trl, *quick, *check)
        assert again.returncode == 2
        assert "already holds a run" in again.stderr
    assert (trl / "outputs/quick/final/model.safetensors").read_bytes() == weights
    more = ("--max_steps", "4", "--output_dir", "outputs/quick", "--save_steps", "1")
    resumed = train(trl, *more, "--resume_from_checkpoint", "latest")
    assert resumed.returncode == 0, resumed.stderr
    steps = [entry["step"] for entry in rows(trl / "outputs/quick/log.jsonl") if "loss" in entry]
    assert steps[-1] == 4


@pytest.mark.parametrize("model", ["m-1b", "m-8b"], ids=["ddp", "fsdp"])
def test_two_processes_train_with_the_rendered_launcher(
    trl: Path, tmp_path: Path, model: str
) -> None:
    """The accelerate file of a two-GPU project, told to use CPUs."""
    two = render(tmp_path, "--framework", "trl", "--algorithm", "sft", "--gpus-per-node", "2",
                 "--model", model)  # fmt: skip
    accelerate = yaml.safe_load((two / "accelerate_config.yaml").read_text("utf-8"))
    assert accelerate["num_processes"] == 2
    assert ("fsdp_config" in accelerate) == (model == "m-8b")
    (trl / "two.yaml").write_text(
        yaml.safe_dump({**accelerate, "use_cpu": True, "mixed_precision": "no"}), "utf-8"
    )
    launcher = ["-m", "accelerate.commands.launch", "--config_file", "two.yaml"]
    output = f"outputs/two-{model}"
    words = ["--data_path", "training_data.jsonl", "--config", "smoke_config.yaml"]
    steps = ["--max_steps", "2", "--per_device_train_batch_size", "2", "--output_dir", output]
    result = python(trl, *launcher, "train_trl.py", *words, *steps)
    assert result.returncode == 0, result.stderr[-3000:]
    # 2 steps of 2 rows on each of 2 processes: 8 rows. One process would have seen 4.
    final = rows(trl / output / "log.jsonl")[-1]
    count = len(rows(trl / "training_data.jsonl"))
    assert final["epoch"] == pytest.approx(2 / -(-count // 4), rel=0.02)
    verify = ("--before", "smoke/model", "--after", f"{output}/final")
    checked = python(trl, "tests/verify_smoke.py", *verify, "--log", f"{output}/log.jsonl")
    assert "25 of 25 weight tensors changed" in checked.stdout
    shutil.rmtree(trl / "outputs")
    (trl / "two.yaml").unlink()
