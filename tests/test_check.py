"""`rl-scaffolder check`: each rule has a project that breaks it and nothing else."""

import json
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from scaffolder import frameworks
from scaffolder.check import check
from scaffolder.project import Finding

Copy = Callable[..., Path]
TRL, CUSTOM, SMOKE = "trl_config.yaml", "custom_config.yaml", "smoke_config.yaml"
ACCELERATE = "accelerate_config.yaml"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str, str], Path]]:
    """Projects of eight GPUs, each rendered once."""
    from scaffolder import render, spec

    folder, made = tmp_path_factory.mktemp("rendered"), {}

    def call(framework: str, algorithm: str, generation: str) -> Path:
        choice = (framework, algorithm, generation)
        if choice not in made:
            answers = {"project_name": "p", "framework": framework, "algorithm": algorithm}
            size: dict[str, Any] = {"gpus_per_node": 8, "model": "org/m-1.7b"}
            chosen = {"generation": generation} if generation else {}
            built = spec.build({**answers, **size, **chosen})
            target = folder / "-".join(choice)
            render.create(built, frameworks.get(framework).plan(built), target, git=False)
            made[choice] = target
        return made[choice]

    yield call


@pytest.fixture
def project(rendered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A project in which nothing is wrong, to be broken."""
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(framework: str = "trl", algorithm: str = "sft", generation: str = "") -> Path:
        folder = tmp_path / "p"
        shutil.copytree(rendered(framework, algorithm, generation), folder)
        (folder / "training_data.jsonl").write_text("{}\n")
        return folder

    return call


def append(file: Path, text: str) -> int:
    """Add lines; returns the number of the first."""
    before = file.read_text("utf-8")
    file.write_text(before + text + "\n", "utf-8")
    return len(before.splitlines()) + 1


def put(file: Path, key: str, value: str) -> int:
    """Change the value of a key, or add the key; returns its line."""
    lines = file.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.startswith(f"{key}:"):
            lines[number - 1] = f"{key}: {value}"
            file.write_text("\n".join(lines) + "\n", "utf-8")
            return number
    return append(file, f"{key}: {value}")


def heavy(folder: Path) -> list[Finding]:
    """What is found, without notes: those are about this machine."""
    return [finding for finding in check(folder) if finding.weight != "note"]


def only(folder: Path) -> Finding:
    (finding,) = heavy(folder)
    return finding


@pytest.mark.parametrize("framework", frameworks.names())
def test_nothing_is_wrong_with_a_new_project_and_its_data(project: Copy, framework: str) -> None:
    for algorithm in frameworks.get(framework).algorithms:
        folder = project(framework, algorithm)
        assert heavy(folder) == [], algorithm
        shutil.rmtree(folder)


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
        ("- 1", "holds no answers"),
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
        ("weight_decay: 1e-2", "warning", "1e-2 is text to YAML", "Write 1.0e-2"),
        ("packing: 'yes'", "warning", "is text, which is read as", "true or false"),
        ("lora_target_modules: q_proj", "warning", "a list is expected", "[q_proj]"),
        ("lr_scheduler_kwargs: {min_lr: 1e-6}", "warning", "stays text", "1.0e-6"),
    ],
    ids=lambda text: str(text)[:24],
)
def test_a_key_or_value_that_trl_does_not_take(
    project: Copy, line: str, weight: str, problem: str, remedy: str
) -> None:
    folder = project()
    number = append(folder / TRL, line)
    found = only(folder)
    assert (found.weight, found.place) == (weight, f"{TRL}:{number}")
    assert problem in found.problem and remedy in found.remedy


@pytest.mark.parametrize(
    "line",
    [
        "packing: yes",
        "env: {NCCL_DEBUG: INFO, X: '1e-5'}",
        "report_to: [tensorboard]",
        "eval_steps: 100",
        "warmup_steps: 5",
        "model_init_kwargs: {device_map: null}",
        "save_total_limit: null",
    ],
)
def test_what_trl_takes_is_left_alone(project: Copy, line: str) -> None:
    folder = project()
    put(folder / TRL, *line.split(": ", 1))
    assert heavy(folder) == []


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


def test_processes_that_are_not_the_planned_gpus(project: Copy) -> None:
    folder = project()
    put(folder / TRL, "gradient_accumulation_steps", "1")
    put(folder / TRL, "per_device_train_batch_size", "2")
    line = put(folder / ACCELERATE, "num_processes", "16")
    found = only(folder)
    assert (found.weight, found.place) == ("error", f"{ACCELERATE}:{line}")
    assert "16, and 8 GPU(s) were planned" in found.problem


def test_machines_that_were_not_planned(project: Copy) -> None:
    folder = project()
    put(folder / ACCELERATE, "num_machines", "2")
    assert "Write 1." in only(folder).remedy


def test_a_global_batch_that_was_not_planned(project: Copy) -> None:
    folder = project()
    line = put(folder / TRL, "gradient_accumulation_steps", "3")
    put(folder / TRL, "per_device_train_batch_size", "1")
    found = only(folder)
    assert found.weight == "warning" and found.line == line - 1
    assert "are 24 rows per optimizer step, and 32" in found.problem


def test_a_batch_of_custom_that_does_not_divide(project: Copy) -> None:
    folder = project("custom")
    put(folder / CUSTOM, "global_batch_size", "33")
    found = only(folder)
    assert found.weight == "error" and "is no multiple of" in found.problem


def test_kto_takes_two_rows_at_once(project: Copy) -> None:
    folder = project("trl", "kto")
    batch = 64 // 8
    put(folder / TRL, "per_device_train_batch_size", "1")
    put(folder / TRL, "gradient_accumulation_steps", str(batch // 2))
    found = only(folder)
    assert found.weight == "error" and "KTO" in found.problem


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"num_generations": "7"}, "whole groups of num_generations = 7", "num_generations to 4"),
        ({"num_generations": "1"}, "num_generations is 1", "2 or more"),
        (
            {"generation_batch_size": "64", "steps_per_generation": "2"},
            "both set",
            "Remove one of them.",
        ),
        ({"generation_batch_size": "63"}, "is no multiple of", "Set it to"),
        (
            {"eval_strategy": "steps", "per_device_eval_batch_size": "3", "num_generations": "16"},
            "24 responses at each evaluation",
            "per_device_eval_batch_size to 2",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_groups_of_responses(
    project: Copy, algorithm: str, changes: dict[str, str], problem: str, remedy: str
) -> None:
    folder = project("trl", algorithm)
    for key, value in changes.items():
        put(folder / TRL, key, value)
    found = only(folder)
    assert found.weight == "error" and problem in found.problem
    assert remedy in found.remedy


def test_the_servers_port_and_the_groups_port(project: Copy) -> None:
    folder = project("trl", "grpo", "vllm_server")
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        line = put(folder / TRL, "vllm_group_port", str(port))
        found = only(folder)
    assert found.line == line and f"port {port}" in found.problem
    put(folder / TRL, "vllm_group_port", "51216")
    answers = folder / ".copier-answers.yml"
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        answers.write_text(answers.read_text().replace("port: 8000", f"port: {port}"))
        assert f"port {port}, where the generation server" in only(folder).problem


def test_rollouts_and_data_that_are_not_there(project: Copy) -> None:
    folder = project()
    (folder / "training_data.jsonl").unlink()
    assert "neither training_data.jsonl nor rollouts.jsonl" in only(folder).problem
    (folder / "rollouts.jsonl").write_text("{}\n")
    assert heavy(folder) == []


def test_a_model_folder_without_config_and_weights(project: Copy) -> None:
    folder = project()
    (folder / "model").mkdir()
    put(folder / TRL, "model_name_or_path", "./model")
    problems = [found.problem for found in heavy(folder)]
    assert len(problems) == 2 and "config.json" in problems[0] and "weights" in problems[1]
    (folder / "model" / "config.json").write_text("{}")
    (folder / "model" / "model.safetensors").write_text("")
    assert heavy(folder) == []
    put(folder / TRL, "model_name_or_path", "/nowhere/model")
    assert "is no folder, and no id" in only(folder).problem


def test_an_output_folder_that_holds_a_run(project: Copy) -> None:
    folder = project()
    (folder / "outputs" / "p" / "checkpoint-100").mkdir(parents=True)
    begun = only(folder)
    assert begun.weight == "warning" and "latest" in begun.remedy
    (folder / "outputs" / "p" / "final").mkdir()
    finished = only(folder)
    assert finished.weight == "error" and "finished run" in finished.problem


def test_a_tracker_without_its_key(project: Copy) -> None:
    folder = project()
    put(folder / TRL, "report_to", "wandb")
    assert "WANDB_API_KEY" in only(folder).problem
    (folder / ".env").write_text("# WANDB_API_KEY=\nWANDB_API_KEY=abc\n")
    assert heavy(folder) == []


def install(folder: Path, **versions: str) -> None:
    """What pip leaves of packages, without them."""
    site = folder / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, version in versions.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)


def pins(folder: Path) -> dict[str, str]:
    import tomllib

    from scaffolder.check.versions import _pins

    return _pins(tomllib.loads((folder / "pyproject.toml").read_text("utf-8")))


def test_an_environment_that_is_not_what_is_pinned(project: Copy) -> None:
    folder = project()
    wanted = pins(folder)
    assert {"trl", "torch", "xxhash"} <= set(wanted)
    install(folder, **{**wanted, "torch": f"{wanted['torch']}+cpu", "trl": "1.15.0"})
    found = only(folder)
    assert found.weight == "warning" and "trl 1.15.0" in found.problem
    shutil.rmtree(folder / ".venv")
    install(folder, **{name: version for name, version in wanted.items() if name != "trl"})
    assert only(folder).problem == f"trl {wanted['trl']} is not installed in .venv"


def test_gpus_that_are_not_there(
    project: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project()
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\nseq 0 3\n")
    smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{smi.parent}:/usr/bin:/bin")
    found = only(folder)
    assert "8 GPU(s) of one machine were planned, and this one shows 4" in found.problem
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert "shows 2" in only(folder).problem
    smi.write_text("#!/bin/sh\nseq 0 7\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert heavy(folder) == []
