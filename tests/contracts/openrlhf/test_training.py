"""OpenRLHF's own offline trainers train our rows with our config, on a CPU.

What only GPUs can do is left out by `CPU`; everything else is what is rendered.
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.environment import variables
from contracts.openrlhf.conftest import BASE, OPENRLHF, prepared
from contracts.rendering import variant
from rl_rollouts.models.folders import is_reward_model, load_model

Done = subprocess.CompletedProcess[str]
FEW = ("data.max_samples=8",)
"""Rows of two optimizer steps."""


def configured(folder: Path, model: Path, algorithm: Any, changes: Any, **answers: Any) -> Path:
    """The smoke config, which is of a tiny model, for a few steps."""
    made = variant("openrlhf", algorithm, tracker="none", **answers)
    config = yaml.safe_load(made.render("smoke_config.yaml"))
    config["model"]["model_name_or_path"] = str(model)
    config["output_dir"] = str(folder / "run")
    config["train"] |= {"max_epochs": 1, "batch_size": 4, "micro_batch_size": 2}
    config["ckpt"]["save_steps"] = 2
    for section, keys in changes.items():
        config[section] |= keys
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def run(folder: Path, *words: str) -> Done:
    environment = variables("openrlhf")
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)


def trained(folder: Path, rows: Path, config: Path, *words: str) -> str:
    script = ("-m", "contracts.openrlhf.cpu", str(OPENRLHF / "train_openrlhf.py"))
    done = run(folder, *script, "--data_path", str(rows), "--config", str(config), *words, *FEW)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def changed(before: Path, after: Path, log: Path) -> int:
    """Weights that are others, as `make smoke` counts them; it loads them with transformers."""
    words = ("--before", str(before), "--after", str(after), "--log", str(log))
    said = run(log.parent, "-m", "rl_rollouts.smoke.verify", *words).stdout
    found = re.search(r"(\d+) of \d+ weight tensors changed", said)
    assert found, said
    return int(found[1])


TWO = {"gpus_per_node": 2}
CASES: tuple[tuple[str, str, Any], ...] = (
    ("sft over two processes, split whole", "sft", {"ds": {"zero_stage": 3}, "launch": TWO}),
    ("conversations", "sft", {"ds": {"zero_stage": 0}, "data": {"multiturn": True}}),
    ("pairs", "dpo", {}),
    ("a reward model", "rm", {}),
)


@pytest.mark.parametrize(("what", "algorithm", "changes"), CASES, ids=[each[0] for each in CASES])
def test_rows_become_a_model_that_transformers_loads(
    what: str, algorithm: str, changes: Any, model: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path, model, algorithm, changes)
    rows = prepared(tmp_path, config.read_text("utf-8"))
    said = trained(tmp_path, rows, config)
    assert f"-m openrlhf.cli.train_{algorithm}" in said and what
    final = tmp_path / "run" / "final"
    assert [set(each) >= {"loss", "learning_rate"} for each in log(tmp_path)] == [True, True]
    assert changed(model, final, tmp_path / "run" / "log.jsonl") > 0
    own = (model / "chat_template.jinja").read_text("utf-8")
    assert (final / "chat_template.jinja").read_text("utf-8") == own
    if algorithm == "rm":
        assert is_reward_model(str(final))
        assert load_model(str(final), reward=True).config.num_labels == 1


def test_a_run_is_not_overwritten_and_goes_on(model: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, model, "sft", {"ds": {"zero_stage": 2}})
    rows = prepared(tmp_path, config.read_text("utf-8"))
    trained(tmp_path, rows, config)
    script = ("-m", "contracts.openrlhf.cpu", str(OPENRLHF / "train_openrlhf.py"))
    again = run(tmp_path, *script, "--data_path", str(rows), "--config", str(config))
    assert again.returncode == 2 and "already holds a run" in again.stderr
    trained(tmp_path, rows, config, "--resume", "train.max_epochs=2")
    assert [each["step"] for each in log(tmp_path)] == [1, 2, 3, 4]
    parts = tmp_path / "run" / "checkpoints" / "global_step2"
    words = ("--checkpoint", str(parts), "--output", "joined", "--base", str(model))
    done = run(tmp_path, str(BASE / "export.py"), *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "joined" / "model.safetensors").is_file()


def test_adapters_are_merged(model: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, model, "sft", {}, tuning="lora")
    rows = prepared(tmp_path, config.read_text("utf-8"))
    trained(tmp_path, rows, config)
    final = tmp_path / "run" / "final"
    described = json.loads((final / "adapter_config.json").read_text("utf-8"))
    assert described["base_model_name_or_path"] == str(model) and described["r"] == 8
    done = run(tmp_path, str(BASE / "export.py"), "--checkpoint", str(final), "--output", "merged")
    assert done.returncode == 0, done.stderr
    assert changed(model, tmp_path / "merged", tmp_path / "run" / "log.jsonl") > 0


def test_signals_go_to_the_trainer_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    script = "import sys, train_openrlhf as t; sys.exit(t.passed_on([sys.executable, '-c', {}]))"
    failed = run(tmp_path, "-c", script.format("'import sys; sys.exit(7)'"))
    assert failed.returncode == 7
    slow = script.format("\"print('begun', flush=True); import time; time.sleep(60)\"")
    slow = slow.replace("sys.exit(t.passed_on", "print(t.passed_on").replace("]))", "]))")
    begun = subprocess.Popen(
        [sys.executable, "-c", slow],
        env=variables("openrlhf"),
        text=True,
        stdout=subprocess.PIPE,
    )
    assert begun.stdout is not None
    assert begun.stdout.readline() == "begun\n"
    begun.send_signal(signal.SIGTERM)
    assert begun.communicate(timeout=60)[0] == f"{-signal.SIGTERM}\n"
