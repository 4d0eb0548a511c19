"""`rl-scaffolder check` on launch scripts, on Accelerate's config, on files that cannot be read.

Each rule has a project that breaks it and nothing else.
"""

import os
from pathlib import Path

import pytest

from checked import ACCELERATE, TRL, VERL, Copy, append, change, heavy, only, projects, put
from scaffolder.check import check
from scaffolder.project import Finding

LOCAL, SERVER = "launch/local.sh", "launch/server.sh"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


def first(folder: Path, file: str) -> Finding:
    """The first error in a file: one slip may be seen in several ways."""
    return next(found for found in heavy(folder) if found.file == file)


@pytest.mark.parametrize(
    ("old", "new", "problem", "remedy"),
    [
        ("then", "thn", "bash cannot read it", "Mend it"),
        ("trl_config.yaml", "trl_confg.yaml", "is not there", "trl_config.yaml"),
        ("trl_config.yaml", "other.yaml", "is not there", "Correct the name"),
        ("train_trl.py", "train_tlr.py", "is not there", "train_trl.py"),
        ("accelerate_config.yaml", "acelerate_config.yaml", "is not there", "accelerate_config"),
        ("training_data.jsonl", "traning_data.jsonl", "is not there", "training_data.jsonl"),
        ("wanted=8", "wanted=4", "4 GPU(s) of a machine are taken", "Write 8"),
        ("1-$wanted", "2-$wanted", "no part of the plan", "1-$wanted"),
        ("--config_file", "--confg_file", "is not what was planned", "--config_file"),
        ("--data_path", "--datapath", "is not what was planned", "--data_path"),
        ("accelerate.commands.launch", "accelerate.command.launch", "not what", ".commands."),
        ('"$python"', '"$pyton"', "pyton is nowhere set", "Mend the name"),
        ("cut --delimiter", "cutt --delimiter", "no command cutt", "cut"),
        ("${more[@]}", "${more@]}", "a bracket is missing", "Mend it"),
        ("^[0-9]+$", "^0-9]+$", "has an open bracket", "Close it"),
        ("^[0-9]+$", "^[1-9]+$", "leaves out GPUs", "[0-9]"),
        ("export CUDA_VISIBLE_DEVICES\n", "", "not handed on", "export"),
    ],
)
def test_a_slip_in_the_launch_script(
    project: Copy, old: str, new: str, problem: str, remedy: str
) -> None:
    folder = project()
    change(folder / LOCAL, old, new)
    found = first(folder, LOCAL)
    assert found.weight == "error" and problem in found.problem and remedy in found.remedy


@pytest.mark.parametrize(
    "lines",
    [
        "# a note: with 'quotes' and [brackets",
        "module load cuda/12",
        "export NCCL_DEBUG=INFO WANDB_MODE=offline",
        'more+=(--learning_rate "2e-5")',
        'echo "GPUs: $HOSTNAME $MY_OWN_VARIABLE"',
        "source /opt/site/setup.sh",
        "ulimit -n 65536",
        'for each in a b; do echo "$each"; done',
    ],
)
def test_what_an_owner_adds_to_a_script_is_left_alone(project: Copy, lines: str) -> None:
    folder = project()
    change(folder / LOCAL, "words=(", f"{lines}\nwords=(")
    assert heavy(folder) == []


def test_a_script_that_is_gone_or_no_file(project: Copy) -> None:
    folder = project()
    (folder / LOCAL).unlink()
    assert (only(folder).file, only(folder).problem) == (LOCAL, "is not there")
    os.mkfifo(folder / LOCAL)
    assert "no regular file" in only(folder).problem


def test_the_servers_port_is_written_twice(project: Copy) -> None:
    folder = project("trl", "grpo", "vllm_server")
    change(folder / SERVER, "port=8000", "port=8001")
    found = only(folder)
    assert "given port 8000, and is waited for on 8001" in found.problem
    change(folder / SERVER, "--port 8000", "--port 8001")
    assert heavy(folder) == []


def test_the_group_port_is_another_than_the_servers(project: Copy) -> None:
    folder = project("trl", "grpo", "vllm_server")
    line = put(folder / TRL, "vllm_group_port", "8000")
    assert only(folder).line == line and "is that of the server itself" in only(folder).problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("distributed_type: MULTI_GPU", "distributed_type: FSPD", "is none of its values"),
        ("distributed_type: MULTI_GPU", "distributed_typ: MULTI_GPU", "is no key of accelerate"),
        ("mixed_precision: bf16", "mixed_precision: bf61", "is none of its values"),
        ("mixed_precision: bf16", "mixed_precision: no", "false is not str"),
        ("num_machines: 1", "num_machines: one", "'one' is not int"),
        ("num_processes: 8", "num_processes: -8", "outside its limits"),
        ("rdzv_backend: static", "rdzv_backend: statik", "is none of its values"),
        ("rdzv_backend: static", "fsdp_config: 7", "7 is not dict"),
        ("rdzv_backend: static", "fsdp_config: {fsdp_versoin: 2}", "is no key of accelerate"),
        ("rdzv_backend: static", "deepspeed_config: {zero_stage: two}", "'two' is not int"),
        ("rdzv_backend: static", "deepspeed_config: {deepspeed_config_file: d.json}", "not there"),
    ],
)
def test_accelerates_config_is_held_against_accelerate(
    project: Copy, old: str, new: str, problem: str
) -> None:
    folder = project()
    line = change(folder / ACCELERATE, old, new)
    found = first(folder, ACCELERATE)
    assert found.weight == "error"
    assert any(problem in each.problem and each.line == line for each in heavy(folder))


@pytest.mark.parametrize(
    "line",
    ["debug: false", "gpu_ids: all", "main_process_port: 29501", "fsdp_config: {version: '2'}"],
)
def test_what_accelerate_takes_is_left_alone(project: Copy, line: str) -> None:
    folder = project()
    append(folder / ACCELERATE, line)
    assert heavy(folder) == []


@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_open_quote_is_shown_where_it_begins(project: Copy, quote: str) -> None:
    folder = project()
    line = put(folder / TRL, "output_dir", f"{quote}outputs/p")
    found = only(folder)
    assert found.problem.startswith("is not YAML") and found.line == line


@pytest.mark.parametrize("name", [TRL, ACCELERATE, "pyproject.toml", ".env"])
def test_a_named_pipe_is_not_waited_for(project: Copy, name: str) -> None:
    folder = project()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert name == ".env" or "no regular file" in first(folder, name).problem
    check(folder)


def test_cpus_of_another_machine_are_only_noted(project: Copy) -> None:
    folder = project("verl", "grpo")
    change(folder / VERL, "  nnodes: 1", "  nnodes: 2")
    found = [each for each in check(folder) if "each machine needs" in each.problem]
    assert all(each.weight == "note" for each in found)
