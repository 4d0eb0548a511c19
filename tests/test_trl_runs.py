"""TRL's trainers, run on a CPU: several processes, and runs that end before their end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import running
from projects import choices, curve, interpreter, python, render, rows, train, until

pytestmark = pytest.mark.long

SMOKED = pytest.mark.parametrize("smoked", choices("trl"), indirect=True)
SMOKE = ("--data_path", "smoke/training_data.jsonl", "--config", "smoke_config.yaml")


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
    with running(command, cwd=trl, stdout=pipe, stderr=pipe, text=True) as process:
        until(lambda: any(output.glob("checkpoint-*/trainer_state.json")))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    shutil.rmtree(output.parent)
    assert process.returncode == 130
    assert "--resume_from_checkpoint latest" in stderr


def test_a_finished_run_is_not_overwritten(trl: Path, quick: tuple[str, ...]) -> None:
    assert train(trl, *quick, "--save_steps", "1").returncode == 0
    weights = (trl / "outputs/quick/final/model.safetensors").read_bytes()
    for check in ((), ("--check_only",)):
        again = train(trl, *quick, *check)
        assert again.returncode == 2
        assert "already holds a run" in again.stderr
    assert (trl / "outputs/quick/final/model.safetensors").read_bytes() == weights


@SMOKED
def test_a_resumed_run_follows_the_unbroken_one(smoked: Path) -> None:
    """From a checkpoint in the middle to the end, step by step the same."""
    run, output = smoked / "smoke/run", smoked / "smoke/resumed"
    middle = min(run.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.copytree(middle, output / middle.name)
    words = ("--output_dir", str(output), "--resume_from_checkpoint", "latest")
    result = python(smoked, "train_trl.py", *SMOKE, *words)
    assert result.returncode == 0, result.stderr[-3000:]
    # What is generated depends on the last bits of the weights, and what is read does not.
    online = any("reward" in entry for entry in rows(run / "log.jsonl"))
    key, digits = ("reward", 1e-2) if online else ("loss", 1e-6)
    unbroken, resumed = curve(run / "log.jsonl", key), curve(output / "log.jsonl", key)
    assert list(resumed) == list(unbroken) and len(resumed) >= 20
    assert resumed == pytest.approx(unbroken, abs=digits)


@SMOKED
def test_two_processes_train_and_say_so(smoked: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    words = ("--max_steps", "3", "--logging_steps", "1", "--output_dir", "smoke/two")
    result = python(smoked, *launcher, "train_trl.py", *SMOKE, *words)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "in 2 process(es) on cpu" in result.stdout
    verify = ("--before", "smoke/model", "--after", "smoke/two/final")
    log = ("--log", "smoke/two/log.jsonl")
    checked = python(smoked, "-m", "rl_rollouts.smoke.verify", *verify, *log).stdout
    changed = checked.split("; ")[1].split(" weight")[0].split(" of ")
    assert changed[0] == changed[1] != "0", checked


@pytest.mark.parametrize(
    ("algorithm", "sharding", "tuning"),
    [
        ("sft", "ddp", "full"),
        ("sft", "fsdp2", "lora"),
        ("rm", "fsdp2", "full"),
        ("rm", "ddp", "lora"),
        ("grpo", "fsdp2", "full"),
        ("grpo", "fsdp2", "lora"),
    ],
    ids="-".join,
)
def test_the_rendered_accelerate_file_trains_in_two_processes(
    tmp_path: Path, trl: Path, algorithm: str, sharding: str, tuning: str
) -> None:
    """That of a project for two GPUs, told to use CPUs."""
    words = ("--framework", "trl", "--algorithm", algorithm, "--gpus-per-node", "2")
    project = render(tmp_path, *words, "--sharding", sharding, "--tuning", tuning)
    path = project / "accelerate_config.yaml"
    accelerate = yaml.safe_load(path.read_text("utf-8"))
    assert accelerate["num_processes"] == 2
    assert ("fsdp_config" in accelerate) == (sharding == "fsdp2")
    on_cpus = {**accelerate, "use_cpu": True, "mixed_precision": "no"}
    path.write_text(yaml.safe_dump(on_cpus), "utf-8")
    shutil.copytree(trl / "smoke" / "model", project / "smoke" / "model")
    sample = ("--input", "tests/sample_rollouts.jsonl", "--output", "training_data.jsonl")
    assert python(project, "prepare_for_trl.py", *sample).returncode == 0
    launcher = ("-m", "accelerate.commands.launch", "--config_file", "accelerate_config.yaml")
    data = ("--data_path", "training_data.jsonl", "--config", "smoke_config.yaml")
    steps = ("--max_steps", "2", "--save_steps", "1", "--logging_steps", "1")
    result = python(project, *launcher, "train_trl.py", *data, *steps)
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"{algorithm} in 2 process(es) on cpu" in result.stdout
    assert [entry["step"] for entry in rows(project / "smoke/run/log.jsonl")][:2] == [1, 2]
    for checkpoint in ("smoke/run/final", "smoke/run/checkpoint-2"):
        output = checkpoint.replace("/", "-")
        exported = python(project, "export.py", "--checkpoint", checkpoint, "--output", output)
        assert exported.returncode == 0, exported.stderr
        assert (project / output / "model.safetensors").is_file()
        assert not (project / output / "adapter_config.json").exists()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
def test_a_run_that_is_killed_goes_on(
    request: pytest.FixtureRequest, algorithm: str, processes: int
) -> None:
    """Again and again: as soon as a checkpoint begins to be written, and in between."""
    project: Path = request.getfixturevalue("trl" if algorithm == "sft" else "grpo")
    output = project / "outputs" / f"killed-{processes}"
    data = ["--data_path", "training_data.jsonl", "--config", "smoke_config.yaml"]
    words = [*data, "--save_steps", "1", "--logging_steps", "1", "--output_dir", str(output)]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [interpreter(), *launcher, "train_trl.py", *words]
    broken = []
    for kill in range(3):
        began = newest(output)
        more = ["--max_steps", "1000", "--resume_from_checkpoint", "latest"]
        nowhere = subprocess.DEVNULL
        with running([*command, *more], cwd=project, stdout=nowhere, stderr=nowhere):
            target = output / f"checkpoint-{began + 3 + kill}"
            until(target.is_dir, 120)
            # The launcher and all that it has started, which are no children of ours.
            subprocess.run(["pkill", "-9", "-f", str(output)], check=True)
        broken += [path for path in output.glob("checkpoint-*") if not (path / "whole").exists()]
        assert newest(output) > began, "a whole checkpoint is left, and a newer one"
    done = newest(output)
    steps = ["--max_steps", str(done + 2), "--resume_from_checkpoint", "latest"]
    result = python(project, *command[1:], *steps)
    assert result.returncode == 0, result.stderr[-3000:]
    found = curve(output / "log.jsonl")
    assert list(found) == list(range(1, done + 3)), "no step is missing, and none is there twice"
    assert all((path / "whole").exists() for path in output.glob("checkpoint-*"))
    assert (output / "final" / "model.safetensors").is_file()
    shutil.rmtree(output)


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_saves_and_ends(trl: Path, processes: int) -> None:
    """Twice, to each process, as schedulers and torchrun send it together."""
    output = trl / "outputs" / f"ended-{processes}"
    data = ["--data_path", "training_data.jsonl", "--config", "smoke_config.yaml"]
    words = [*data, "--save_steps", "5000", "--logging_steps", "1", "--output_dir", str(output)]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [interpreter(), *(launcher if processes > 1 else ()), "train_trl.py", *words]
    said = trl / "said.txt"
    with (
        said.open("w") as file,
        running([*command, "--max_steps", "5000"], cwd=trl, stdout=file, stderr=file) as process,
    ):
        until(lambda: said.read_text("utf-8").count("'loss'") > 2, 120)
        for each in (*children_of(process.pid), process.pid) * 2:
            os.kill(each, signal.SIGTERM)
        code = process.wait(120)
    assert code == 143 if processes == 1 else code != 0
    assert f"Stopped after step {newest(output)}, which is saved" in said.read_text("utf-8")
    assert len(list(output.glob("checkpoint-*"))) == 1 and not (output / "final").exists()
    shutil.rmtree(output)


def children_of(process: int) -> list[int]:
    words = Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()
    return [int(word) for word in words]


def newest(output: Path) -> int:
    """Step of the newest checkpoint that is whole; 0 when there is none."""
    whole = [path.parent.name for path in output.glob("checkpoint-*/whole")]
    return max((int(name.split("-")[1]) for name in whole), default=0)


def test_an_environment_runs_the_tools_that_the_model_calls(grpo: Path, tmp_path: Path) -> None:
    """A model that has learned to call one tool does so, and is shown the result."""
    import trl

    template = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
    model = grpo / "caller"
    shutil.copytree(grpo / "smoke" / "model", model)
    (model / "chat_template.jinja").write_bytes(template.read_bytes())
    call = {"type": "function", "function": {"name": "price_of", "arguments": {"item": "tea"}}}
    question = {"role": "user", "content": "What is the price of tea?"}
    row = {"prompt": [question], "completion": [{"role": "assistant", "tool_calls": [call]}]}
    (grpo / "calls.jsonl").write_text(json.dumps({**row, "tools": tools()}) + "\n")
    sft = ["algorithm: sft", "model_name_or_path: caller", "output_dir: outputs/caller"]
    sft += ["max_steps: 60", "learning_rate: 5.0e-3", "use_cpu: true", "bf16: false"]
    sft += ["activation_checkpointing: false", "save_strategy: 'no'"]
    (grpo / "calls.yaml").write_text("\n".join(sft))
    learned = python(grpo, "train_trl.py", "--config", "calls.yaml", "--data_path", "calls.jsonl")
    assert learned.returncode == 0, learned.stderr[-2000:]
    prompt = {"task": "t", "prompt": [question], "tools": tools(), "ground_truth": "5"}
    (grpo / "ask.jsonl").write_text(json.dumps({**prompt, "metadata": {}}) + "\n")
    words = ("--environment", "environment:Shop", "--model_name_or_path", "outputs/caller/final")
    sizes = ("--max_completion_length", "96", "--max_steps", "1", "--logging_steps", "1")
    # Nearly the likeliest tokens: at 1.0 a model this small seldom writes a whole call.
    sampled = ("--temperature", "0.1", "--per_device_train_batch_size", "16")
    more = (*sampled, "--output_dir", "outputs/shop")
    asked = ("--config", "smoke_config.yaml", "--data_path", "ask.jsonl")
    result = python(grpo, "train_trl.py", *asked, *words, *sizes, *more)
    assert result.returncode == 0, result.stderr[-2000:]
    logged = rows(grpo / "outputs/shop/log.jsonl")[0]
    assert logged["tools/call_frequency"] >= 0.5, logged
    assert logged["tools/failure_frequency"] <= 0.5, logged
    shutil.rmtree(grpo / "outputs")
    shutil.rmtree(model)


def tools() -> list[dict[str, object]]:
    """The schemas of the example environment, as TRL makes them, and in its order: by name."""
    from environment import Shop
    from transformers.utils import get_json_schema

    shop = Shop()
    return [get_json_schema(each) for each in (shop.multiply, shop.price_of)]
