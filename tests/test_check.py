"""`rl-scaffolder check`: what it prints, and its rules about keys and values.

Each rule has a project that breaks it and nothing else.
"""

import json
import shutil
from pathlib import Path

import pytest

from checked import ACCELERATE, CUSTOM, SMOKE, TRL, Copy, append, heavy, only, projects, put
from conftest import ROOT, Command
from scaffolder import frameworks
from scaffolder.check import check

SHOP = ROOT / "examples" / "rollouts" / "shop.jsonl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


@pytest.mark.parametrize("framework", frameworks.names())
def test_nothing_is_wrong_with_a_new_project_and_its_data(project: Copy, framework: str) -> None:
    for algorithm in frameworks.get(framework).algorithms:
        folder = project(framework, algorithm)
        assert heavy(folder) == [], algorithm
        shutil.rmtree(folder)


@pytest.mark.parametrize("framework", frameworks.names())
def test_nothing_is_wrong_with_what_new_writes(
    new: Copy, scaffold: Command, framework: str
) -> None:
    folder = new("p", "--framework", framework, "--algorithm", "sft")
    shutil.copy(SHOP, folder / "rollouts.jsonl")
    result = scaffold("check", "p")
    assert result.returncode == 0, result.stdout
    assert "warning" not in result.stdout


def test_everything_wrong_is_shown_at_once_with_file_and_line(
    project: Copy, scaffold: Command
) -> None:
    folder = project()
    line = append(folder / TRL, "learning_rat: 1.0e-5")
    put(folder / ACCELERATE, "num_processes", "16")
    result = scaffold("check", str(folder))
    assert result.returncode == 1
    assert f"{TRL}:{line}" in result.stdout and "learning_rate" in result.stdout
    assert f"{ACCELERATE}:" in result.stdout and "2 error(s)" in result.stdout


def test_json_holds_the_same(project: Copy, scaffold: Command) -> None:
    folder = project()
    line = append(folder / TRL, "learning_rat: 1.0e-5")
    result = scaffold("check", "--json", cwd=folder)
    found = json.loads(result.stdout)["findings"]
    assert result.returncode == 1
    assert found[0] == {
        "weight": "error",
        "problem": "learning_rat is no key of trl 1.16.0",
        "remedy": "Did you mean learning_rate?",
        "file": TRL,
        "line": line,
    }


def test_a_project_without_errors_is_fine(project: Copy, scaffold: Command) -> None:
    result = scaffold("check", cwd=project())
    assert result.returncode == 0, result.stdout
    assert "Nothing that would stop it was found." in result.stdout


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (None, "has no .copier-answers.yml"),
        ("[", "is not YAML"),
        ("- 1", "holds no `key: value` lines"),
        ("{}", "holds no answers"),
        ("framework: trl", "of another version"),
    ],
)
def test_a_folder_that_is_no_project_is_bad_input(
    tmp_path: Path, scaffold: Command, answers: str | None, said: str
) -> None:
    if answers is not None:
        (tmp_path / ".copier-answers.yml").write_text(answers)
    result = scaffold("check", str(tmp_path))
    assert result.returncode == 2 and said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("line", "weight", "problem", "remedy"),
    [
        ("learning_rat: 1.0e-5", "error", "is no key of trl 1.16.0", "mean learning_rate?"),
        ("zzzzzzzz: 1", "error", "is no key of trl 1.16.0", "Remove it."),
        ("weight_decay: heavy", "error", "'heavy' is not float", "its default is 0.0"),
        ("max_steps: 2.5", "error", "2.5 is not int", "its default is -1"),
        ("max_steps: 1e3", "error", "'1e3' is not int", "type int"),
        ("optim: adamw_torhc", "error", "is none of its values", "adamw_torch"),
        ("hub_model_id: 2024", "error", "is not str | None", "quotes"),
        ("packing: 3", "error", "3 is not bool", "its default is false"),
        ("weight_decay: .inf", "error", "is no finite number", "Write a number"),
        ("warmup_steps: -1", "error", "is outside its limits", "at least 0"),
        ("save_total_limit: -1", "error", "is outside its limits", "above 0"),
        ("report_to: tensorbord", "error", "is none of its values", "tensorboard"),
        ("report_to: [tensorbord]", "error", "is none of its values", "tensorboard"),
        ("loss_type: nonsense", "error", "is none of its values", "nll"),
        ("attn_implementation: sdp", "error", "is none of its values", "sdpa"),
        ("output_dir: 7", "error", "7 is not str", "quotes"),
        ("output_dir: ''", "error", "is empty", "Write something"),
        ("env: {NCCL_DEBUG: 1}", "error", "has to be text", "quotes"),
        ("lr_scheduler_kwargs: {min_lr: 1e-6}", "warning", "stays text", "1.0e-6"),
    ],
    ids=lambda text: str(text)[:24],
)
def test_a_key_or_value_that_trl_does_not_take(
    project: Copy, line: str, weight: str, problem: str, remedy: str
) -> None:
    folder = project()
    number = put(folder / TRL, *line.split(": ", 1))
    found = only(folder)
    assert (found.weight, found.place) == (weight, f"{TRL}:{number}")
    assert problem in found.problem and remedy in found.remedy


@pytest.mark.parametrize(
    "line",
    [
        "packing: yes",
        "packing: 'yes'",
        "weight_decay: 1e-2",
        "max_length: none",
        "lora_target_modules: all-linear",
        "attn_implementation: kernels-community/flash-attn",
        "save_steps: '50'",
        "max_grad_norm: '1.0'",
        "env: {NCCL_DEBUG: INFO, X: '1e-5'}",
        "report_to: [tensorboard]",
        "eval_steps: 100",
        "warmup_steps: 5",
        "model_init_kwargs: {device_map: null}",
        "save_total_limit: null",
        "<<: {learning_rate: 1.0e-5}",
    ],
)
def test_what_trl_takes_is_left_alone(project: Copy, line: str) -> None:
    folder = project()
    put(folder / TRL, *line.split(": ", 1))
    assert heavy(folder) == []


@pytest.mark.parametrize(
    "text",
    [
        "? [a, b]\n: 1",
        "a: &x {b: *x}",
        "run_name: 2024-01-01",
        "run_name: !!python/object:os.system x",
        "output_dir: ~nobody-of-this-name/x",
        f"output_dir: {'x' * 5000}",
        "model_name_or_path: [1, {a: b}]",
        "optim: {a: [1]}",
        "learning_rate: .nan",
        "per_device_train_batch_size: 0",
        "report_to: [[wandb], {a: 1}]",
        "algorithm: [sft]",
        "\t: 1",
        "1: 2",
        "null: null",
    ],
)
def test_no_config_is_too_odd_to_be_judged(project: Copy, text: str) -> None:
    folder = project()
    append(folder / TRL, text)
    append(folder / ACCELERATE, "num_processes: 0")
    assert heavy(folder)


def test_a_key_of_another_algorithm_names_its_class(project: Copy) -> None:
    folder = project()
    line = append(folder / TRL, "beta: 0.1")
    found = only(folder)
    assert found.place == f"{TRL}:{line}"
    assert "the algorithm here is sft" in found.problem and "Config" in found.problem


def test_a_key_that_stands_twice(project: Copy) -> None:
    folder = project()
    first = put(folder / TRL, "save_steps", "100")
    line = append(folder / TRL, "save_steps: 200")
    found = only(folder)
    assert (found.weight, found.line) == ("error", line)
    assert f"line {first}" in found.problem


def test_a_missing_key(project: Copy) -> None:
    folder = project("custom")
    text = (folder / CUSTOM).read_text("utf-8")
    (folder / CUSTOM).write_text(text.replace("model_name_or_path:", "# "), "utf-8")
    assert [found.problem for found in heavy(folder)] == ["model_name_or_path is missing"]


def test_a_number_outside_its_limits(project: Copy) -> None:
    folder = project("custom")
    put(folder / CUSTOM, "learning_rate", "-1.0e-5")
    found = only(folder)
    assert "outside its limits" in found.problem and "above 0" in found.remedy


def test_an_unknown_algorithm(project: Copy) -> None:
    folder = project()
    put(folder / TRL, "algorithm", "sfft")
    assert "It can be" in only(folder).remedy


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is not YAML"), ("text", "holds no"), (None, "is not there")]
)
def test_a_config_that_cannot_be_read(project: Copy, text: str | None, said: str) -> None:
    folder = project()
    (folder / SMOKE).unlink()
    if text is not None:
        (folder / SMOKE).write_text(text)
    found = only(folder)
    assert found.file == SMOKE and said in found.problem


def test_a_version_whose_keys_are_not_known_is_only_noted(project: Copy) -> None:
    folder = project()
    answers = folder / ".copier-answers.yml"
    answers.write_text(
        answers.read_text().replace("framework_version: 1.16.0", "framework_version: 0.1.0")
    )
    append(folder / TRL, "learning_rat: 1.0e-5")
    notes = [found.problem for found in check(folder) if found.weight == "note"]
    assert heavy(folder) == [] and any("were not checked" in note for note in notes)
