"""Projects of verl without verl and without GPUs; `tests/contracts/verl` goes on from there."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from conftest import run
from projects import make, python, render
from scaffolder.frameworks import discover

ALGORITHMS = sorted(discover()["verl"].algorithms)


@pytest.fixture(scope="module")
def grpo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verl")
    return render(folder, "--framework", "verl", "--algorithm", "grpo")


def test_its_own_tests_pass(grpo: Path) -> None:
    result = make(grpo, "test")
    assert result.returncode == 0, result.stdout
    assert "skipped" in result.stdout, "what needs verl itself; the contracts run it"


@pytest.mark.parametrize(("algorithm", "column"), [("grpo", "reward_model"), ("sft", "messages")])
def test_rollouts_become_rows_of_verl(tmp_path: Path, algorithm: str, column: str) -> None:
    project = render(tmp_path, "--framework", "verl", "--algorithm", algorithm)
    sample = "ROLLOUTS=tests/sample_rollouts.jsonl"
    result = make(project, "prepare", sample)
    assert result.returncode == 0, result.stderr
    rows = (project / "training_data.jsonl").read_text("utf-8").splitlines()
    assert rows and all(column in json.loads(row) for row in rows)


def test_a_config_that_names_no_tree_of_verl(grpo: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("defaults: [_self_]\n")
    words = ("--input", "tests/sample_rollouts.jsonl", "--output", str(tmp_path / "rows.jsonl"))
    result = python(grpo, "prepare_for_verl.py", *words, "--config", str(config))
    assert result.returncode == 2
    assert "`defaults`" in result.stderr and "ppo_trainer, sft_trainer_engine" in result.stderr


def test_without_verl_training_says_what_to_do(grpo: Path) -> None:
    data = grpo / "tests" / "sample_rollouts.jsonl"
    result = python(grpo, "train_verl.py", "--data_path", str(data), "--check_only")
    assert result.returncode == 2 and "verl is not installed" in result.stderr
    assert "container" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data_path", "none.jsonl"], "There is no none.jsonl"),
        (["--data_path", "README.md", "trainer.nnodes"], "trainer.nnodes is no key=value"),
        (["--data_path", "README.md", "--config", "none.yaml"], "Cannot read none.yaml"),
        (["--data_path", "README.md", "--config", "Makefile"], "Makefile"),
    ],
)
def test_bad_input_is_said_in_words(grpo: Path, words: list[str], said: str) -> None:
    result = python(grpo, "train_verl.py", *words)
    assert result.returncode == 2 and said in result.stderr
    assert "Traceback" not in result.stderr


def test_the_readme_says_what_verl_can_do_with_each_kind(grpo: Path) -> None:
    readme = (grpo / "README.md").read_text("utf-8")
    assert "no offline reinforcement learning" in readme
    assert "docker run" in readme and "vllm024" in readme
    assert "was not run by the authors" in readme, "NeMo Gym's recipe"
    assert "one GPU, also a small one" in readme and "in minutes, on\na CPU" not in readme


def test_the_launch_script_asks_for_gpus(grpo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    shutil.copytree(grpo, folder)
    result = run(["bash", "launch/local.sh"], folder)
    assert result.returncode == 2 and "shows 0" in result.stderr
    assert "can only prepare and check" in result.stderr


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_configs_hold_no_key_twice_and_say_why(tmp_path: Path, algorithm: str) -> None:
    project = render(tmp_path, "--framework", "verl", "--algorithm", algorithm)
    text = (project / "verl_config.yaml").read_text("utf-8")
    assert yaml.safe_load(text)["defaults"][0] in {"ppo_trainer", "sft_trainer_engine"}
    assert text.count("#") > 8
