"""What train_trl.py accepts, and how it refuses the rest before a model is loaded."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from projects import python, render, train



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
