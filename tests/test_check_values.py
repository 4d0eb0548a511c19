"""`rl-scaffolder check` on code that a config names, and on values that do not go together.

Each rule has a project that breaks it and nothing else.
"""

import json
import shutil
from pathlib import Path

import pytest

from checked import CUSTOM, TRL, VERL, Copy, change, heavy, only, projects, put


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("framework", "file", "old", "new", "problem"),
    [
        ("trl", TRL, "rewards:score", "rewardz:score", "did you mean rewards?"),
        ("trl", TRL, "rewards:score", "rewards:scor", "did you mean score?"),
        ("trl", TRL, "# environment: ", "environment: no:Shop # ", "there is no no.py here"),
        ("trl", TRL, "# environment: environment:Shop", "environment: environment:Shp", "Shop?"),
        ("custom", CUSTOM, "rewards:score", "rewards.scores", "there is no rewards/scores.py"),
        ("custom", CUSTOM, "run_name:", "trainer: custom_loop:Trainer #", "has no Trainer"),
        ("custom", CUSTOM, "run_name:", "trainer: my_trainer #", "not of the form module:name"),
        ("verl", VERL, "path: verl_data.py", "path: data.py", "data.py is not there"),
        ("verl", VERL, "name: Prompts", "name: Promts", "did you mean Prompts?"),
        ("verl", VERL, "path: verl_rewards.py", "path: rewards2.py", "is not there"),
        ("verl", VERL, "name: compute_score", "name: score_it", "has no score_it"),
        ("verl", VERL, "rewards: rewards:score", "rewards: rewards:none", "has no none"),
    ],
)
def test_code_that_is_named_and_not_there(
    project: Copy, framework: str, file: str, old: str, new: str, problem: str
) -> None:
    folder = project(framework, "grpo")
    line = change(folder / file, old, new)
    found = only(folder)
    assert found.weight == "error" and found.place == f"{file}:{line}"
    assert problem in found.problem


def test_code_is_read_and_not_imported(project: Copy) -> None:
    folder = project("trl", "grpo")
    rewards = folder / "rewards.py"
    rewards.write_text(
        "raise SystemExit\n\ndef score(prompt, response, truth, metadata):\n    return 1.0\n"
    )
    assert heavy(folder) == []
    rewards.write_text("def score(prompt): ...\n")
    assert "does not take 4 arguments" in only(folder).problem
    rewards.write_text("from elsewhere import *\n")
    assert heavy(folder) == []
    rewards.write_text("def score(:\n")
    assert "is no Python" in only(folder).problem


def test_a_package_of_the_environment_may_have_the_rewards(project: Copy) -> None:
    folder = project("trl", "grpo")
    put(folder / TRL, "rewards", "acme_rewards.math:score")
    assert "no such package in .venv" in only(folder).problem
    site = folder / ".venv" / "lib" / "python3.11" / "site-packages" / "acme_rewards"
    site.mkdir(parents=True)
    problems = [found.problem for found in heavy(folder)]
    assert problems and not any("acme" in problem for problem in problems)


def test_a_length_that_the_model_has_no_positions_for(project: Copy) -> None:
    for framework, file in (("trl", TRL), ("custom", CUSTOM)):
        folder = project(framework)
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_text("")
        config = {"text_config": {"max_position_embeddings": 1024}}
        (folder / "model" / "config.json").write_text(json.dumps(config))
        put(folder / file, "model_name_or_path", "./model")
        line = put(folder / file, "max_length", "2048")
        found = only(folder)
        assert found.place == f"{file}:{line}" and "positions for 1024" in found.problem
        put(folder / file, "max_length", "1024")
        assert heavy(folder) == []
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["load_best_model_at_end: true"], "needs an evaluation at each checkpoint"),
        (["eval_strategy: steps"], "eval_data_path is not"),
        (["eval_strategy: steps", "eval_data_path: gone.jsonl"], "gone.jsonl is not there"),
        (["deepspeed: ds.json"], "ds.json is not there"),
        (["lr_scheduler_type: greedy"], "follows the loss of held-out rows"),
        (["fp16: true", "bf16: true"], "are both true"),
        (["save_steps: 10.5"], "above 1 it counts steps"),
    ],
)
def test_values_that_do_not_go_together(project: Copy, lines: list[str], problem: str) -> None:
    folder = project()
    for line in lines:
        put(folder / TRL, *line.split(": ", 1))
    assert problem in only(folder).problem


def test_the_error_is_at_the_key_that_was_changed(project: Copy) -> None:
    folder = project("trl", "grpo")
    line = put(folder / TRL, "per_device_train_batch_size", "3")
    places = [found.line for found in heavy(folder)]
    assert places and set(places) == {line}
    shutil.rmtree(folder)
    folder = project("custom")
    line = put(folder / CUSTOM, "micro_batch_size", "3")
    assert only(folder).line == line
    shutil.rmtree(folder)
    folder = project("verl", "grpo")
    line = change(folder / VERL, "    n: 8", "    n: 7")
    assert line in [found.line for found in heavy(folder)]


def test_quoted_numbers_are_calculated_with(project: Copy) -> None:
    for framework, file, key in (
        ("trl", TRL, "per_device_train_batch_size"),
        ("custom", CUSTOM, "global_batch_size"),
    ):
        folder = project(framework)
        put(folder / file, key, "'33'")
        assert any("33" in found.problem for found in heavy(folder)), framework
        shutil.rmtree(folder)
    folder = project("verl")
    change(folder / VERL, "train_batch_size: ", "train_batch_size: '33' # ")
    assert any("is not int" in found.problem for found in heavy(folder))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n_gpus_per_node: 8", "n_gpus_per_node: 0"),
        ("ppo_mini_batch_size: 32", "ppo_mini_batch_size: -32"),
        ("strategy: fsdp2", "strategy: fdsp2"),
        ("lr: 1.0e-06", "lr: -1.0e-06"),
        ("lr: 1.0e-06", "lr: .inf"),
        ('default_local_dir: "outputs/p"', "default_local_dir: 7"),
        ("max_response_length: 1024", "max_response_length: 0"),
        ("path: verl_data.py", "path: {a: 1}"),
    ],
)
def test_a_value_that_verl_would_break_on(project: Copy, old: str, new: str) -> None:
    folder = project("verl", "grpo")
    line = change(folder / VERL, old, new)
    errors = [found for found in heavy(folder) if found.weight == "error"]
    assert line in [found.line for found in errors]


def test_an_output_that_is_a_file(project: Copy) -> None:
    folder = project()
    put(folder / TRL, "output_dir", "README.md")
    (folder / "README.md").touch()
    assert "README.md is a file" in only(folder).problem


def test_an_attention_that_transformers_does_not_have(project: Copy) -> None:
    folder = project("custom")
    put(folder / CUSTOM, "attn_implementation", "spda")
    assert "no attention 'spda'" in only(folder).problem
    put(folder / CUSTOM, "attn_implementation", "kernels-community/flash-attn")
    assert heavy(folder) == []


@pytest.mark.parametrize(
    ("line", "is_error"),
    [
        ("save_steps: 50.0", False),
        ("save_steps: '50'", False),
        ("save_steps: '50.0'", False),
        ("save_steps: '5e1'", True),
        ("packing: 1", False),
        ("packing: 'on'", False),
        ("packing: 2", True),
        ("save_steps: none", True),
        ("learning_rate: '1e-5'", False),
        ("learning_rate: .inf", True),
        ("run_name: null", False),
        ("model_name_or_path: ''", True),
    ],
)
def test_values_as_the_settings_of_the_custom_trainer_take_them(
    project: Copy, line: str, is_error: bool
) -> None:
    folder = project("custom")
    put(folder / CUSTOM, *line.split(": ", 1))
    assert [found.weight for found in heavy(folder)] == ["error"] * is_error
