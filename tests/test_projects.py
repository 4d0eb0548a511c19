"""Rendered projects really run, on a CPU, with a model made on the spot."""

import os
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from conftest import run
from projects import choices, curve, make, python, render, rows, script

SMOKE_SECONDS = 300
"""Of a machine that is busy with other tests; about a minute where it is not."""
EVERY = pytest.mark.parametrize("smoked", choices(), indirect=True)


@EVERY
def test_smoke_trains_a_model_that_loads(smoked: Path) -> None:
    import transformers

    folder = smoked / "smoke"
    log = (smoked.parent / "smoke.log").read_text()
    assert "ok: smoke/run/final loads" in log
    for name in ("run/final", "exported"):
        config = transformers.AutoConfig.from_pretrained(folder / name)
        model = getattr(transformers, config.architectures[0]).from_pretrained(folder / name)
        assert model.num_parameters() > 100_000
        assert transformers.AutoTokenizer.from_pretrained(folder / name).chat_template
    learned(folder / "run/log.jsonl")
    assert list((folder / "run").rglob("events.out.tfevents.*"))
    assert "<svg" in (folder / "curve.html").read_text("utf-8")
    evaluated = {row["model"] for row in rows(folder / "evaluation.jsonl")}
    assert evaluated == {"smoke/model", "smoke/run/final"} - (
        {"smoke/model"} if "SequenceClassification" in config.architectures[0] else set()
    )


def learned(log: Path) -> None:
    """The loss fell clearly; where it says little, the reward or the margin of preferences rose."""
    rising = list((curve(log, "reward") or curve(log, "rewards/margins")).values())
    losses = list(curve(log).values())
    if rising:
        assert sum(rising[-5:]) > 1.5 * sum(rising[:5])
    else:
        assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@EVERY
def test_its_own_tests_pass_and_git_stays_clean(smoked: Path) -> None:
    result = make(smoked, "test")
    assert result.returncode == 0, result.stdout
    status = run(["git", "status", "--porcelain"], smoked).stdout
    assert status == "", status


@EVERY
def test_the_check_reports_lengths_and_reads_everything(smoked: Path) -> None:
    framework = next(smoked.glob("train_*.py")).stem.removeprefix("train_")
    data = ("--data_path", "smoke/training_data.jsonl", "--config", "smoke_config.yaml")
    output = "--set output_dir=other" if framework == "custom" else "--output_dir other"
    words = (*data, *output.split(), "--check_only")
    result = python(smoked, f"train_{framework}.py", *words)
    assert result.returncode == 0, result.stderr
    assert "tokens" in result.stdout
    assert not (smoked / "other").exists()


@pytest.mark.parametrize("framework", ["trl", "custom"])
@pytest.mark.long
def test_the_smoke_run_trains_in_two_processes_too(tmp_path: Path, framework: str) -> None:
    project = render(tmp_path, "--framework", framework, "--algorithm", "sft")
    began = time.monotonic()
    result = make(project, "smoke", "SMOKE_PROCESSES=2", program=sys.executable)
    assert result.returncode == 0, result.stdout + result.stderr
    assert time.monotonic() - began < SMOKE_SECONDS
    assert "ok: smoke/run/final loads" in result.stdout
    assert "2 process(es)" in result.stdout


@pytest.mark.long
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
    assert any(line.startswith("evaluate.py") for line in pythons)
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
        (["evaluate.py", "--model", "smoke/model", "./none"], "There is no ./none"),
        (["evaluate.py", "--model", "smoke/model", "--limit", "0"], "--limit is 0"),
        (
            ["evaluate.py", "--model", "smoke/model", "--prompts", "training_data.jsonl"],
            "rows without ground_truth",
        ),
        (["export.py", "--checkpoint", "./none"], "There is no folder none"),
        (["export.py", "--checkpoint", "smoke/model", "--output", str(tmp_path)], "there already"),
    ):
        result = python(trl, *words)
        assert result.returncode == 2, result.stderr
        assert said in result.stderr and "Traceback" not in result.stderr
    assert not (trl / "exported").exists() and not (trl / "evaluation.jsonl").exists()
