"""Rendered projects really run, on a CPU, with a model made on the spot."""

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Result, run
from scaffolder.frameworks import matrix

CHOICES = sorted({(each.name, algorithm) for each, algorithm, *_ in matrix()})
SMOKE_SECONDS = 120


def render(folder: Path, *arguments: str) -> Path:
    command = [sys.executable, "-m", "scaffolder", "new", "p", "--yes", "--json", *arguments]
    result = run(command, folder)
    assert result.returncode == 0, result.stderr
    return folder / "p"


def make(project: Path, *arguments: str) -> Result:
    return run(["make", f"PYTHON={shlex.quote(sys.executable)}", *arguments], project)


def python(project: Path, *arguments: str) -> Result:
    return run([sys.executable, *arguments], project)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module", params=CHOICES, ids="-".join)
def smoked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `make smoke`, one for each framework and algorithm."""
    framework, algorithm = request.param
    folder = tmp_path_factory.mktemp(f"{framework}-{algorithm}")
    project = render(folder, "--framework", framework, "--algorithm", algorithm)
    began = time.monotonic()
    result = make(project, "smoke")
    assert result.returncode == 0, result.stdout + result.stderr
    assert time.monotonic() - began < SMOKE_SECONDS
    (project / "smoke.log").write_text(result.stdout)
    return project


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TRL project with data and a tiny model, ready to train."""
    project = render(tmp_path_factory.mktemp("trl"), "--framework", "trl", "--algorithm", "sft")
    sample = "tests/sample_rollouts.jsonl"
    for command in (
        ["tests/tiny_model.py", "--text", sample, "--output", "smoke/model"],
        ["prepare_for_trl.py", "--input", sample, "--output", "training_data.jsonl"],
    ):
        result = python(project, *command)
        assert result.returncode == 0, result.stderr
    return project


def train(project: Path, *arguments: str, config: str = "smoke_config.yaml") -> Result:
    words = ("--data_path", "training_data.jsonl", "--config", config, *arguments)
    return python(project, "train_trl.py", *words)


@pytest.fixture
def quick(trl: Path) -> Iterator[tuple[str, ...]]:
    """Arguments of a run of two steps, whose output is removed afterwards."""
    yield ("--max_steps", "2", "--output_dir", "outputs/quick")
    shutil.rmtree(trl / "outputs", ignore_errors=True)


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


def test_the_config_repeats_no_default_of_trl(tmp_path: Path) -> None:
    """Beside what is planned or chosen, a key stands in it because it differs."""
    from trl import DPOConfig, ModelConfig, SFTConfig

    planned = {"per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"}
    chosen = {"max_length", "num_train_epochs", "report_to"}
    for algorithm, config_class in (("sft", SFTConfig), ("dpo", DPOConfig)):
        project = render(tmp_path, "--framework", "trl", "--algorithm", algorithm)
        config = yaml.safe_load((project / "trl_config.yaml").read_text("utf-8"))
        defaults = {
            field.name: field.default for c in (config_class, ModelConfig) for field in fields(c)
        }
        same = {key for key in config if key in defaults and config[key] == defaults[key]}
        assert same <= planned | chosen
        shutil.rmtree(project)


def test_unknown_keys_are_refused_with_line_and_suggestion(trl: Path, tmp_path: Path) -> None:
    text = (trl / "smoke_config.yaml").read_text("utf-8")
    lines = text.replace("max_steps:", "max_step:").splitlines()
    (trl / "typo.yaml").write_text("\n".join([*lines, "learning_rat: 1"]), "utf-8")
    result = train(trl, "--num_epoch", "3", config="typo.yaml")
    (trl / "typo.yaml").unlink()
    assert result.returncode == 2
    at = next(number for number, line in enumerate(lines, 1) if line.startswith("max_step:"))
    assert f"typo.yaml:{at}: no such key: max_step (did you mean max_steps?)" in result.stderr
    assert "learning_rat (did you mean learning_rate?)" in result.stderr
    assert "no such option: --num_epoch" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--config", "missing.yaml"), "Cannot read missing.yaml"),
        (("--config", "README.md"), "README.md"),
        (("--data_path", "missing.jsonl"), "missing.jsonl is not there"),
        (("--data_path", "training_data.prompts.jsonl"), "no column completion"),
        (("--data_path", "README.md"), "README.md:1"),
        (("--learning_rate", "fast"), "invalid float value: 'fast'"),
        (("--resume_from_checkpoint", "nowhere"), "no checkpoint nowhere"),
        (("--eval_strategy", "steps"), "Add `eval_data_path"),
        (("--algorithm", "ppo"), "It can be sft or dpo"),
        (("--algorithm", "dpo"), "no such key: assistant_only_loss"),
        (("--model_name_or_path", "./nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_clear_error(trl: Path, arguments: tuple[str, str], said: str) -> None:
    given = {"--data_path": "training_data.jsonl", "--config": "smoke_config.yaml"}
    given.update([arguments])
    words = [word for pair in given.items() for word in pair]
    result = python(trl, "train_trl.py", *words, "--check_only")
    assert result.returncode == 2, result.stdout + result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr and "usage:" not in result.stderr


def test_help_and_other_ways_to_write_a_key(trl: Path) -> None:
    shown = python(trl, "train_trl.py", "--help")
    assert shown.returncode == 0 and "python train_trl.py --data_path" in shown.stdout
    words = ("--config=smoke_config.yaml", "--data_path=training_data.jsonl", "--check_only=true")
    assert python(trl, "train_trl.py", *words).returncode == 0
    text = (trl / "smoke_config.yaml").read_text("utf-8")
    (trl / "odd.yaml").write_text(f"{text}\non: 1\n1: 2\n", "utf-8")
    result = train(trl, config="odd.yaml")
    (trl / "odd.yaml").unlink()
    assert result.returncode == 2
    assert "no such key: on" in result.stderr and "no such key: 1" in result.stderr


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


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_make_without_an_environment_says_what_to_do(trl: Path) -> None:
    result = run(["make", "filter", f"PYTHON={shlex.quote(sys.executable)} -S"], trl)
    assert result.returncode == 2
    assert "run 'make install' first" in result.stderr
    assert "Traceback" not in result.stderr


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


def test_a_folder_with_an_odd_name_is_no_pattern(trl: Path, tmp_path: Path) -> None:
    odd = tmp_path / "[red] it's *"
    odd.mkdir()
    project = render(odd, "--framework", "trl", "--algorithm", "sft")
    shutil.copy(trl / "training_data.jsonl", project)
    shutil.copytree(trl / "smoke", project / "smoke")
    result = train(project, "--max_steps", "1", "--output_dir", "outputs/one")
    assert result.returncode == 0, result.stderr[-2000:]
    assert (project / "outputs/one/final/model.safetensors").is_file()


def test_a_row_reaches_the_trainer_unchanged(trl: Path) -> None:
    """Tools and arguments differ from row to row; nothing is filled with null."""
    script = (
        "import json, train_trl\n"
        "columns = ['prompt', 'completion', 'tools']\n"
        "print(json.dumps(list(train_trl.load('training_data.jsonl', columns))))"
    )
    loaded = json.loads(python(trl, "-c", script).stdout.splitlines()[-1])
    assert loaded == rows(trl / "training_data.jsonl")
    assert {row["tools"] is None for row in loaded} == {True, False}


def test_the_loss_falls_on_the_words_of_the_model_alone(trl: Path) -> None:
    """Decode the labels that TRL computes: assistant turns of the completion, and no more."""
    script = (
        "import json, train_trl, trl\n"
        "from transformers import AutoTokenizer\n"
        "args = ['--config', 'smoke_config.yaml', '--output_dir', 'outputs/mask']\n"
        "run, training, model = train_trl.parse(args)\n"
        "data = train_trl.load('training_data.jsonl', ['prompt', 'completion', 'tools'])\n"
        "name = model.model_name_or_path\n"
        "trainer = trl.SFTTrainer(model=name, args=training, train_dataset=data)\n"
        "tokenizer = AutoTokenizer.from_pretrained('smoke/model')\n"
        "for row in trainer.train_dataset:\n"
        "    kept = [label for label in row['labels'] if label != -100]\n"
        "    print('TRAINED', json.dumps(tokenizer.decode(kept)))\n"
    )
    printed = python(trl, "-c", script)
    shutil.rmtree(trl / "outputs", ignore_errors=True)
    trained = [
        json.loads(line[8:]) for line in printed.stdout.splitlines() if line[:7] == "TRAINED"
    ]
    assert trained == [spoken(row) for row in rows(trl / "training_data.jsonl")]


def spoken(row: dict[str, Any]) -> str:
    """What the model wrote in a row, as the tiny model's chat template writes it."""
    turns = [message for message in row["completion"] if message["role"] == "assistant"]
    return "".join(
        turn["content"]
        + "".join(
            f"<tool_call>{json.dumps(call['function'])}</tool_call>"
            for call in turn.get("tool_calls", [])
        )
        + "<|im_end|>"
        for turn in turns
    )


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


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


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


def test_types_that_change_late_in_the_data_do_not_matter(trl: Path, tmp_path: Path) -> None:
    def row(arguments: dict[str, Any], text: str) -> dict[str, Any]:
        call = {"type": "function", "function": {"name": "look", "arguments": arguments}}
        turn = {"role": "assistant", "content": "", "tool_calls": [call]}
        question = {"role": "user", "content": text}
        return {"prompt": [question], "completion": [turn], "tools": None}

    late = {**row({"deep": {"er": 1}}, "q"), "tools": [{"type": "function"}]}
    data = [*[row({"at": 1}, "y" * 1000)] * 20_000, late]
    path = tmp_path / "late.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in data))
    script = (
        "import json, train_trl\n"
        f"data = train_trl.load({str(path)!r}, ['prompt', 'completion', 'tools'])\n"
        "print(json.dumps([len(data), data[len(data) - 1]]))"
    )
    loaded = json.loads(python(trl, "-c", script).stdout.splitlines()[-1])
    assert loaded == [len(data), late]
