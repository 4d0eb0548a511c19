"""verl's own SFT trainer trains our rows with our config, on a CPU; checkpoints become models.

What only GPUs can do is left out by `cpu.OVERRIDES`; everything else is what is rendered.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import warm
from contracts.environment import ROOT, variables
from contracts.rendering import variant
from contracts.verl.conftest import BASE, VERL

LIBRARIES = (
    "torch", "torch.distributed.run", "torch.utils.tensorboard", "accelerate", "datasets", "hydra",
    "pandas", "peft", "ray", "tensordict", "torchdata.stateful_dataloader", "transformers",
    "transformers.models.qwen3.modeling_qwen3",
)  # fmt: skip
"""What verl imports; itself it is not copied, since `cpu` changes it while it is imported."""
STEPS = 4
CHANGES = (
    f"trainer.total_training_steps={STEPS}",
    "trainer.save_freq=2",
    "trainer.logger=[console,file]",
)


def run(folder: Path, *words: str, processes: int = 1) -> "subprocess.CompletedProcess[str]":
    """train_verl.py, on the CPU."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    words = (*(launcher if processes > 1 else ()), "-m", "contracts.verl.cpu", *words)
    program = warm.python(*LIBRARIES)
    return subprocess.run(
        [program, *words], cwd=folder, env=variables("verl"), text=True, capture_output=True
    )


def train(folder: Path, rows: Path, *words: str, processes: int = 1) -> None:
    script = str(VERL / "train_verl.py")
    given = ("--data_path", str(rows), "--config", str(folder / "smoke_config.yaml"))
    done = run(folder, script, *given, *CHANGES, *words, processes=processes)
    assert done.returncode == 0, done.stderr[-3000:]


def losses(run: Path) -> list[float]:
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [each["data"]["train/loss"] for each in entries if "train/loss" in each["data"]]


def configured(folder: Path, model: Path, output: Path, tuning: str = "full") -> None:
    made = variant("verl", "sft", tuning=tuning)
    config = yaml.safe_load(made.render("smoke_config.yaml"))
    config["model"]["path"] = str(model)
    config["trainer"]["default_local_dir"] = str(output)
    (folder / "smoke_config.yaml").write_text(yaml.safe_dump(config))


def compare(folder: Path, model: Path, final: Path) -> str:
    """What `make smoke` of a project ends with: it fails where nothing was learned."""
    words = [
        "--before",
        str(model),
        "--after",
        str(final),
        "--log",
        str(final.parent / "log.jsonl"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "rl_rollouts.smoke.verify", *words],
        cwd=folder,
        env=variables("verl"),
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("processes", [1, 2])
def test_rows_become_a_model_that_transformers_loads(
    processes: int, model: Path, sft_rows: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    configured(tmp_path, model, output)
    train(tmp_path, sft_rows, processes=processes)
    assert len(losses(output)) == STEPS
    said = compare(tmp_path, model, output / "final")
    assert "ok:" in said and "0 of" not in said
    exported = tmp_path / "exported"
    words = ["--checkpoint", str(output / "global_step_2"), "--output", str(exported)]
    done = subprocess.run(
        [sys.executable, str(BASE / "export.py"), *words],
        cwd=ROOT,
        env=variables("verl"),
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert (exported / "model.safetensors").is_file()
    with_run = run(
        tmp_path,
        str(VERL / "train_verl.py"),
        *("--data_path", str(sft_rows), "--config", str(tmp_path / "smoke_config.yaml")),
    )
    assert with_run.returncode == 2 and "already holds a run" in with_run.stderr


def test_a_resumed_run_goes_on(model: Path, sft_rows: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    configured(tmp_path, model, whole)
    train(tmp_path, sft_rows)
    configured(tmp_path, model, parts)
    train(tmp_path, sft_rows, "trainer.total_training_steps=2")
    train(tmp_path, sft_rows, "--resume")
    first = (parts / "log.1.jsonl").read_text().count("train/loss")
    assert first == 2 and losses(parts) == pytest.approx(losses(whole)[2:], abs=1e-3)


def test_adapters_become_a_folder_of_lora_weights(
    model: Path, sft_rows: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    configured(tmp_path, model, output, "lora")
    train(tmp_path, sft_rows)
    described = json.loads((output / "final" / "adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == str(model)
    assert (described["r"], described["lora_alpha"]) == (32, 32)
    assert "ok:" in compare(tmp_path, model, output / "final")
