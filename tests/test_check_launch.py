"""`rl-scaffolder check`: its rules about batches, files, versions and the machine.

Each rule has a project that breaks it and nothing else.
"""

import shutil
import socket
import stat
import tomllib
from pathlib import Path

import pytest

from checked import ACCELERATE, CUSTOM, TRL, Copy, heavy, only, projects, put
from scaffolder import library


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


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


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("num_generations", "7", "global_batch_size 256 is no multiple of 448"),
        ("max_new_tokens", "5000", "leave no room for a prompt in max_length 4096"),
    ],
)
def test_groups_and_lengths_of_custom(project: Copy, key: str, value: str, problem: str) -> None:
    folder = project("custom", "grpo")
    put(folder / CUSTOM, key, value)
    found = only(folder)
    assert found.weight == "error" and problem in found.problem


def test_kto_takes_two_rows_at_once(project: Copy) -> None:
    folder = project("trl", "kto")
    batch = 64 // 8
    put(folder / TRL, "per_device_train_batch_size", "1")
    put(folder / TRL, "gradient_accumulation_steps", str(batch // 2))
    found = only(folder)
    assert found.weight == "error" and "KTO" in found.problem
    put(folder / TRL, "train_sampling_strategy", "random")
    assert "to be random" in heavy(folder)[-1].problem
    put(folder / TRL, "loss_type", "apo_zero_unpaired")
    assert heavy(folder) == []


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        ({"num_generations": "7"}, "whole groups of num_generations = 7", "num_generations to 4"),
        ({"num_generations": "1"}, "num_generations: 1 is outside", "at least 2"),
        (
            {"generation_batch_size": "64", "steps_per_generation": "2"},
            "both set",
            "Remove one of them.",
        ),
        ({"generation_batch_size": "65"}, "is no multiple of", "Set it to"),
        (
            {
                "eval_strategy": "steps",
                "eval_data_path": "training_data.jsonl",
                "per_device_eval_batch_size": "3",
                "num_generations_eval": "16",
            },
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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"vllm_tensor_parallel_size": "3"}, "do not divide the 8 that train"),
        ({"vllm_mode": "server"}, "was not planned with one"),
        ({"auto_find_batch_size": "true"}, "TRL refuses it"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_vllm_beside_the_trainer(project: Copy, changes: dict[str, str], problem: str) -> None:
    folder = project("trl", "grpo", "vllm_colocate")
    for key, value in changes.items():
        put(folder / TRL, key, value)
    assert problem in only(folder).problem


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
        script = folder / "launch" / "server.sh"
        script.write_text(script.read_text().replace("8000", str(port)))
        assert f"port {port}, where the generation server" in only(folder).problem


def test_rollouts_and_data_that_are_not_there(project: Copy) -> None:
    folder = project()
    (folder / "training_data.jsonl").unlink()
    assert "neither training_data.jsonl nor rollouts.jsonl" in only(folder).problem
    (folder / "rollouts.jsonl").write_text("{}\n")
    assert "1 of 1 lines are no rollouts" in only(folder).problem


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
    answers = folder / ".copier-answers.yml"
    as_chosen = answers.read_text("utf-8")
    answers.write_text(as_chosen.replace("tracker: tensorboard", "tracker: wandb"), "utf-8")
    assert "WANDB_API_KEY" in only(folder).problem
    (folder / ".env").write_text("# WANDB_API_KEY=\nWANDB_API_KEY=abc\n")
    assert heavy(folder) == []
    answers.write_text(as_chosen, "utf-8")
    assert "does not install wandb" in only(folder).problem


def install(folder: Path, **versions: str) -> None:
    """What pip leaves of packages, without them."""
    site = folder / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, version in versions.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)


def pins(folder: Path) -> dict[str, str]:
    from scaffolder.check.versions import _pins

    found = _pins(tomllib.loads((folder / "pyproject.toml").read_text("utf-8")), "train")
    return {**found, "rl_rollouts": library.version(library.path())}


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


def test_the_library_is_there_once_and_installed_as_it_is_there(project: Copy) -> None:
    folder = project()
    wanted, wheel = pins(folder), folder / library.path()
    install(folder, **{**wanted, "rl_rollouts": "0.0.1+t1"})
    found = only(folder)
    assert found.weight == "warning" and "rl_rollouts 0.0.1+t1" in found.problem
    assert found.remedy == "make install."
    shutil.rmtree(folder / ".venv")
    install(folder, **{name: each for name, each in wanted.items() if name != "rl_rollouts"})
    assert only(folder).weight == "error" and "has no rl_rollouts" in only(folder).problem
    install(folder, **wanted)
    assert heavy(folder) == []
    shutil.copy(wheel, wheel.with_name("rl_rollouts-0.0.1-py3-none-any.whl"))
    assert "holds 2 versions" in only(folder).problem and wheel.name in only(folder).remedy
    shutil.rmtree(wheel.parent)
    assert "the library is gone" in only(folder).problem
    (folder / "rl_rollouts").mkdir()
    assert heavy(folder) == []


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
