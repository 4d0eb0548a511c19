"""Rendered projects really run, on a CPU, with a model made on the spot."""

import os
import re
import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest

from conftest import run
from projects import make, python, render, rows



def test_smoke_trains_a_model_that_loads(smoked: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log = (smoked / "smoke.log").read_text()
    assert "ok: smoke/run/final loads" in log
    for folder in ("run/final", "exported"):
        model = AutoModelForCausalLM.from_pretrained(smoked / "smoke" / folder)
        assert model.num_parameters() > 100_000
        assert AutoTokenizer.from_pretrained(smoked / "smoke" / folder).chat_template
    losses = [entry["loss"] for entry in rows(smoked / "smoke/run/log.jsonl") if "loss" in entry]
    assert losses[-1] < 0.7 * losses[0]
    assert list((smoked / "smoke/run").rglob("events.out.tfevents.*"))
    evaluated = {row["model"] for row in rows(smoked / "smoke/evaluation.jsonl")}
    assert evaluated == {"smoke/model", "smoke/run/final"}


def test_its_own_tests_pass_and_git_stays_clean(smoked: Path) -> None:
    (smoked / "smoke.log").unlink(missing_ok=True)
    result = make(smoked, "test")
    assert result.returncode == 0, result.stdout
    status = run(["git", "status", "--porcelain"], smoked).stdout
    assert status == "", status


def test_the_check_reports_lengths_and_reads_everything(smoked: Path) -> None:
    framework = next(smoked.glob("train_*.py")).stem.removeprefix("train_")
    data = ("--data_path", "smoke/training_data.jsonl", "--config", "smoke_config.yaml")
    shutil.rmtree(smoked / "smoke/run")
    result = python(smoked, f"train_{framework}.py", *data, "--check_only")
    assert result.returncode == 0, result.stderr
    assert "tokens" in result.stdout
    assert not (smoked / "smoke/run").exists()


def test_a_project_stands_on_its_own_feet(tmp_path: Path) -> None:
    """`make install` in an environment of its own, then its tests and its smoke run."""
    project = render(tmp_path, "--framework", "trl", "--algorithm", "sft")
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHON", "MAKEFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    for target in ("install", "test", "smoke"):
        result = run(["make", target], project, env=environment)
        assert result.returncode == 0, result.stdout + result.stderr
    assert (project / "smoke/run/final/model.safetensors").is_file()


CPU = {"trl": "--use_cpu true --bf16 false --max_steps 1", "custom": "--set max_steps=1"}
"""What a machine without GPUs adds to the training command of the README."""


@pytest.mark.parametrize("framework", sorted(CPU))
def test_the_commands_of_its_readme_run_as_printed(
    trl: Path, tmp_path: Path, framework: str
) -> None:
    given = ("--rollouts", str(trl / "tests/sample_rollouts.jsonl"))
    model = ("--model", str(trl / "smoke/model"), "--tracker", "none")
    project = render(tmp_path, "--framework", framework, "--algorithm", "sft", *given, *model)
    readme = (project / "README.md").read_text("utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    pythons = [line.split(maxsplit=1)[1] for line in commands if line.startswith("python ")]
    assert [line.split()[0].split("_")[0] for line in pythons[:3]] == ["filter", "prepare", "train"]
    assert len(pythons) == 4
    for line in pythons:
        extra = CPU[framework] if line.startswith("train_") else ""
        extra = "--max_new_tokens 4" if line.startswith("evaluate") else extra
        result = python(project, *shlex.split(f"{line} {extra}"))
        assert result.returncode == 0, f"{line}: {result.stderr}"
    others = {line.split()[1] for line in commands if line.startswith("make ")}
    makefile = (project / "Makefile").read_text("utf-8")
    assert all(f"\n{target}:" in makefile for target in others)


def test_make_without_an_environment_says_what_to_do(trl: Path) -> None:
    result = run(["make", "filter", f"PYTHON={shlex.quote(sys.executable)} -S"], trl)
    assert result.returncode == 2
    assert "run 'make install' first" in result.stderr
    assert "Traceback" not in result.stderr


def test_collect_calls_nemo_gym_and_spares_what_is_there(trl: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("{}\n")
    output = tmp_path / "rollouts.jsonl"
    words = ("collect_rollouts.py", "--agent", "solver", "--tasks", str(tasks))
    missing = python(trl, *words, "--output", str(output))
    assert missing.returncode == 2 and "Install NeMo Gym" in missing.stderr
    script(tmp_path / "ng_collect_rollouts", 'printf "%s\\n" "$@"')
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, *words, "--output", str(output), "+num_repeats=4"]
    called = run(command, trl, env=environment).stdout.splitlines()
    assert called[1:] == [
        "+agent_name=solver",
        f"+input_jsonl_fpath={tasks}",
        f"+output_jsonl_fpath={output}",
        "+num_repeats=4",
    ]
    output.write_text("precious")
    refused = run(command, trl, env=environment)
    assert refused.returncode == 2 and output.read_text() == "precious"


def test_evaluate_and_export_refuse_clearly(trl: Path, tmp_path: Path) -> None:
    for words, said in (
        (["evaluate.py", "--model", "smoke/model", "--prompts", "none.jsonl"], "make prepare"),
        (["evaluate.py", "--model", "smoke/model", "./none"], "Cannot load ./none"),
        (["evaluate.py", "--model", "smoke/model", "--limit", "0"], "--limit is 0"),
        (
            ["evaluate.py", "--model", "smoke/model", "--prompts", "training_data.jsonl"],
            "rows without ground_truth",
        ),
        (["export.py", "--checkpoint", "./none"], "Cannot load none"),
        (["export.py", "--checkpoint", "smoke/model", "--output", str(tmp_path)], "there already"),
    ):
        result = python(trl, *words)
        assert result.returncode == 2, result.stderr
        assert said in result.stderr and "Traceback" not in result.stderr
    assert not (trl / "exported").exists() and not (trl / "evaluation.jsonl").exists()
