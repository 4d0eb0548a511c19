"""What train_trl.py accepts, and how it refuses the rest before a model is loaded."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import train_trl
from projects import python, render, rows, train
from rl_rollouts.errors import UserError
from scaffolder.frameworks.trl.adapter import CONFIG_CLASSES, Trl

Inside = Callable[..., None]
PLANNED = {
    *("per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"),
    "per_device_eval_batch_size",
    *("vllm_tensor_parallel_size", "vllm_max_model_length", "assistant_only_loss"),
}
CHOSEN = {
    *("max_length", "num_train_epochs", "report_to", "num_generations", "max_completion_length"),
    *("beta", "temperature", "seed", "loss_type"),
}


@pytest.mark.parametrize("algorithm", Trl.algorithms)
def test_the_config_repeats_no_default_of_trl(tmp_path: Path, algorithm: str) -> None:
    """Beside what is planned or may be chosen, a key stands in it because it differs."""
    import trl

    project = render(tmp_path, "--framework", "trl", "--algorithm", algorithm)
    config = yaml.safe_load((project / "trl_config.yaml").read_text("utf-8"))
    config_class = getattr(trl, CONFIG_CLASSES.get(algorithm, "GRPOConfig"))
    defaults = {
        field.name: field.default for each in (config_class, trl.ModelConfig)
        for field in fields(each)
    }  # fmt: skip
    same = {key for key in config if key in defaults and config[key] == defaults[key]}
    assert same <= PLANNED | CHOSEN


def test_unknown_keys_are_refused_with_line_and_suggestion(trl: Path, tmp_path: Path) -> None:
    text = (trl / "smoke_config.yaml").read_text("utf-8")
    lines = text.replace("max_steps:", "max_step:").splitlines()
    (trl / "typo.yaml").write_text("\n".join([*lines, "learning_rat: 1"]), "utf-8")
    result = train(trl, "--num_epoch", "3", config="typo.yaml")
    (trl / "typo.yaml").unlink()
    assert result.returncode == 2
    at = next(number for number, line in enumerate(lines, 1) if line.startswith("max_step:"))
    assert f"typo.yaml:{at}: unknown key max_step; did you mean max_steps?" in result.stderr
    assert "learning_rat; did you mean learning_rate?" in result.stderr
    assert "the command line: unknown key num_epoch" in result.stderr
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
        (("--save_total_limit", "1"), "Set it to 2 or more"),
        (("--eval_strategy", "steps"), "Add `eval_data_path"),
        (("--algorithm", "ppo"), "It can be sft, dpo"),
        (("--algorithm", "dpo"), "unknown key assistant_only_loss"),
        (("--rewards", "rewards:score"), "unknown key rewards"),
        (("--model_name_or_path", "./nowhere"), "nowhere"),
        (("--padding_token", "<nothing>"), "not in the vocabulary"),
    ],
)
def test_bad_input_is_one_clear_error(
    trl: Path, inside: Inside, arguments: tuple[str, str], said: str
) -> None:
    given = {"--data_path": "training_data.jsonl", "--config": "smoke_config.yaml"}
    given.update([arguments])
    refused(
        inside, trl, *(word for pair in given.items() for word in pair), "--check_only", said=said
    )


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Inside:
    """train_trl.py in a project, without the seconds that it takes to start."""

    def call(project: Path, *words: str) -> None:
        monkeypatch.chdir(project)
        monkeypatch.syspath_prepend(str(project))
        train_trl.train(list(words))

    return call


def refused(inside: Inside, project: Path, *words: str, said: str) -> str:
    """Refuses with an error that is printed without a traceback; returns what to do about it."""
    if "--config" not in words:
        words = ("--config", "smoke_config.yaml", "--data_path", "training_data.jsonl", *words)
    with pytest.raises(UserError) as error:
        inside(project, *words)
    assert said in str(error.value)
    assert error.value.exit_code in {1, 2}
    return error.value.remedy


def test_where_no_row_is_held_out_none_is_followed(
    trl: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    (trl / "none.jsonl").write_text("")
    words = ["--config", "smoke_config.yaml", "--data_path", "training_data.jsonl", "--check_only"]
    words += ["--eval_strategy", "steps", "--eval_steps", "2", "--eval_data_path", "none.jsonl"]
    inside(trl, *words)
    said = capsys.readouterr().out
    assert "note: none.jsonl is empty: nothing is followed while training" in said
    assert "The config and the data are accepted." in said
    best = ("--load_best_model_at_end", "True", "--save_strategy", "steps", "--save_steps", "2")
    refused(inside, trl, *words, *best, said="load_best_model_at_end is set, and none.jsonl")
    (trl / "none.jsonl").unlink()


def test_an_error_is_printed_without_a_traceback(trl: Path) -> None:
    result = train(trl, "--learning_rate", "fast", "--check_only")
    assert result.returncode == 2
    assert result.stderr.startswith("error: TRL does not accept a value: ")
    assert "invalid float value: 'fast'" in result.stderr
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
    assert "unknown key on" in result.stderr and "unknown key 1" in result.stderr


@pytest.fixture
def output(trl: Path, grpo: Path) -> Iterator[None]:
    yield
    for project in (trl, grpo):
        assert not list(project.glob("outputs/*/checkpoint-*")), "something was trained"
        shutil.rmtree(project / "outputs", ignore_errors=True)


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize("check", [(), ("--check_only",)], ids=["run", "check"])
def test_nothing_short_enough_is_found_before_the_model_is_loaded(
    trl: Path, grpo: Path, inside: Inside, check: tuple[str, ...]
) -> None:
    words = ("--output_dir", "outputs/short", *check)
    said = "In all rows the prompt alone fills max_length = 8"
    refused(inside, trl, *words, "--max_length", "8", said=said)
    said = "All prompts are longer than max_prompt_length = 8"
    refused(inside, grpo, *words, "--max_prompt_length", "8", said=said)


@pytest.mark.usefixtures("output")
def test_a_padding_token_that_ends_texts_is_refused_and_another_helps(
    trl: Path, inside: Inside
) -> None:
    model = trl / "ends"
    shutil.copytree(trl / "smoke" / "model", model)
    path = model / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    words = ("--model_name_or_path", "ends", "--output_dir", "outputs/ends", "--check_only")
    for pad in (config["eos_token"], None):
        path.write_text(json.dumps({**config, "pad_token": pad}), "utf-8")
        remedy = refused(inside, trl, *words, said="which ends a text")
        advice = remedy.split('padding_token: "')[1].split('"')[0]
        data = ("--config", "smoke_config.yaml", "--data_path", "training_data.jsonl")
        inside(trl, *data, *words, "--padding_token", advice)
    shutil.rmtree(model)


SCORES = {
    "raises": ('raise KeyError("price")', "KeyError"),
    "nothing": ("return None", "no number"),
    "not finite": ('return float("nan")', "returned nan"),
    "two of them": ("return [0.5, 0.5]", "no number"),
}


@pytest.mark.parametrize("how", SCORES)
def test_rewards_that_are_no_numbers_are_found_before_the_model_is_loaded(
    grpo: Path, inside: Inside, how: str
) -> None:
    name, said = write_score(grpo, how, *SCORES[how])
    refused(inside, grpo, "--rewards", name, "--output_dir", f"outputs/{name}", said=said)
    assert not (grpo / "outputs" / name).exists()


def write_score(project: Path, how: str, body: str, said: str) -> tuple[str, str]:
    name = f"odd_{how.replace(' ', '_')}"
    head = "def score(prompt, response, ground_truth, metadata):\n"
    (project / f"{name}.py").write_text(f"{head}    {body}\n")
    return name, said


def test_a_reward_that_fails_only_later_stops_the_run(grpo: Path) -> None:
    body = (
        'score.calls = getattr(score, "calls", 0) + 1\n'
        '    return score.calls if score.calls < 20 else float("inf")'
    )
    name, said = write_score(grpo, "late", body, "returned inf")
    words = ("--rewards", name, "--output_dir", f"outputs/{name}", "--max_steps", "2")
    result = train(grpo, *words)
    assert result.returncode == 1 and said in result.stderr, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    assert "process(es)" in result.stdout
    assert not (grpo / "outputs" / name / "final").exists()


@pytest.mark.usefixtures("output")
def test_rows_with_tools_need_an_environment_or_are_left_out(
    grpo: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--output_dir", "outputs/tools", "--check_only", "--rows_with_tools")
    data = rows(grpo / "training_data.jsonl")
    with_tools = sum(bool(row["tools"]) for row in data)
    assert 0 < with_tools < len(data)
    said = f"{with_tools} rows of training_data.jsonl have tools"
    refused(inside, grpo, *words, "refuse", said=said)
    given = ("--config", "smoke_config.yaml", "--data_path", "training_data.jsonl", *words)
    inside(grpo, *given, "drop")
    assert (
        f"{with_tools} with tools dropped, {len(data) - with_tools} to train on"
        in capsys.readouterr().out
    )
    inside(grpo, *given, "refuse", "--environment", "environment:Shop")
    assert f"{len(data)} to train on" in capsys.readouterr().out
    refused(
        inside, grpo, *words, "refuse", "--environment", "environment:No", said="no environment"
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("report_to", "tensorbord", "TRL refuses to start: tensorbord is not supported"),
        ("learning_rate", "-1", "TRL refuses to start: Invalid learning rate"),
        ("per_device_train_batch_size", "0", "TRL refuses to start: "),
        ("save_total_limit", "-1", "Set it to 2 or more"),
    ],
)
def test_what_only_the_trainer_refuses_is_one_clear_error(
    trl: Path, inside: Inside, key: str, value: str, said: str
) -> None:
    refused(inside, trl, f"--{key}", value, "--output_dir", "outputs/no", said=said)


def test_what_the_configs_calculate_with_is_one_clear_error(grpo: Path, inside: Inside) -> None:
    words = ("--per_device_train_batch_size", "0", "--generation_batch_size", "8", "--check_only")
    refused(inside, grpo, *words, said="TRL does not accept smoke_config.yaml: ZeroDivisionError")


def test_a_config_without_a_model(trl: Path, tmp_path: Path, inside: Inside) -> None:
    text = (trl / "smoke_config.yaml").read_text("utf-8")
    config = tmp_path / "none.yaml"
    config.write_text(text.replace("model_name_or_path:", "run_name:"), "utf-8")
    words = ("--config", str(config), "--data_path", "training_data.jsonl", "--check_only")
    refused(inside, trl, *words, said="has no model_name_or_path")


def test_what_is_not_installed_is_said_in_one_line(grpo: Path, inside: Inside) -> None:
    words = ("--use_vllm", "true", "--output_dir", "outputs/vllm")
    refused(inside, grpo, *words, said="TRL refuses to start: vLLM is not available")


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize("check", [(), ("--check_only",)], ids=["run", "check"])
def test_prompts_that_do_not_fill_a_step_are_refused(
    grpo: Path, inside: Inside, check: tuple[str, ...]
) -> None:
    """TRL leaves them out, and would end without a step and without a word."""
    words = ("--per_device_train_batch_size", "512", "--output_dir", "outputs/few", *check)
    said = "There are 5 prompts, and a step "
    refused(inside, grpo, *words, said=said)


Prepared = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """The rows of an algorithm, prepared from the sample rollouts."""

    def call(algorithm: str, **changes: Any) -> list[dict[str, Any]]:
        project = render(tmp_path, "--framework", "trl", "--algorithm", algorithm)
        path = project / "trl_config.yaml"
        config = yaml.safe_load(path.read_text("utf-8")) | changes
        path.write_text(yaml.safe_dump(config), "utf-8")
        words = ("--input", "tests/sample_rollouts.jsonl", "--output", "data.jsonl")
        result = python(project, "prepare_for_trl.py", *words)
        assert result.returncode == 0, result.stderr
        found = rows(project / "data.jsonl")
        shutil.rmtree(project)
        return found

    return call


def test_where_turns_cannot_be_marked_each_is_a_row(prepared: Prepared) -> None:
    """The same turns of the model, each after all that it had seen."""
    whole, apart = prepared("sft"), prepared("sft", assistant_only_loss=False)
    assert any(len(row["completion"]) > 1 for row in whole)
    assert all(len(row["completion"]) == 1 for row in apart)
    expected = [
        [*row["prompt"], *row["completion"][: at + 1]]
        for row in whole
        for at, message in enumerate(row["completion"])
        if message["role"] == "assistant"
    ]
    found = [[*row["prompt"], *row["completion"]] for row in apart]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    kto = prepared("kto")
    assert all([m["role"] for m in row["completion"]] == ["assistant"] for row in kto)
    assert {row["label"] for row in kto} == {True, False}


def test_a_reward_model_judges_whole_completions(prepared: Prepared) -> None:
    pairs = prepared("rm")
    assert any(len(row["chosen"]) > 1 for row in pairs)
    assert all(len(row["chosen"]) == 1 for row in prepared("dpo"))


def test_gradients_are_summed_over_gpus_in_float32() -> None:
    """Accelerate gives FSDP2 the precision of the computation for that too."""
    import torch
    from accelerate.utils import FullyShardedDataParallelPlugin

    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, mixed_precision_policy="bf16")
    trainer = SimpleNamespace(accelerator=SimpleNamespace(state=SimpleNamespace()))
    train_trl.reduce_in_float32(trainer)
    trainer.accelerator.state.fsdp_plugin = plugin
    train_trl.reduce_in_float32(trainer)
    assert plugin.mixed_precision_policy.reduce_dtype == torch.float32
    assert plugin.mixed_precision_policy.param_dtype == torch.bfloat16
