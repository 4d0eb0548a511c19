"""launch/local.sh on two machines joins them in one Ray cluster, and ends on both."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.environment import variables
from contracts.rendering import variant

pytestmark = pytest.mark.alone
"""Ray on a busy machine gives up, and a launch script stops what there is of Ray on its machine."""
STUB = """
import os
from types import SimpleNamespace

import ray
from omegaconf import OmegaConf
from verl_checks import wait_for_machines

units = {"backend": {"SimpleStorage": {"num_data_storage_units": UNITS}}}
trainer = {"nnodes": 2, "n_gpus_per_node": 1}
config = OmegaConf.create({"trainer": trainer, "transfer_queue": units})
wait_for_machines(SimpleNamespace(config=config))
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
print("joined:", len(ray.nodes()), "machines,", ray.cluster_resources()["GPU"], "GPUs", flush=True)
"""
"""In place of train_verl.py: what it does before verl begins."""
LIMIT = 180


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A project on a machine that shows one GPU."""
    made = variant("verl", "grpo", nodes=2, gpus_per_node=1)
    (tmp_path / "launch").mkdir()
    script = tmp_path / "launch" / "local.sh"
    script.write_text(made.render("launch/local.sh", overlay="local"))
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 0\n")
    for each in (script, smi):
        each.chmod(0o755)
    (tmp_path / "training_data.jsonl").write_text("{}\n")
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def begin(folder: Path, rank: int, port: int, more: dict[str, str]) -> "subprocess.Popen[str]":
    ours = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "NODE_RANK": str(rank),
        "MAIN_ADDRESS": "127.0.0.1",
        "MAIN_PORT": str(port),
    }
    return subprocess.Popen(
        ["bash", "launch/local.sh"],
        cwd=folder,
        env={**variables("verl"), **ours, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("units", "said"), [(1, "joined: 2 machines, 2.0 GPUs"), (5000, "CPUs, and")]
)
def test_two_machines_become_one_cluster(
    units: int, said: str, machine: Path, ray_folder: dict[str, str]
) -> None:
    (machine / "train_verl.py").write_text(STUB.replace("UNITS", str(units)))
    port = free_port()
    second = begin(machine, 1, port, ray_folder)
    time.sleep(1)
    first = begin(machine, 0, port, ray_folder)
    try:
        output, _ = first.communicate(timeout=LIMIT)
        assert said in output, output
        assert (first.returncode == 0) == (units == 1)
        other, _ = second.communicate(timeout=LIMIT)
        assert second.returncode == 0 and "waiting for Ray" in other, other
    finally:
        for each in (first, second):
            each.kill()
        # Of this cluster alone: `ray stop` would end every one on the machine.
        subprocess.run(["pkill", "--signal", "KILL", "--full", f":{port}"], check=False)


def test_the_rank_of_the_machine_must_be_said(machine: Path) -> None:
    environment = {**variables("verl"), "PATH": f"{machine / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "launch/local.sh"], cwd=machine, env=environment, text=True, capture_output=True
    )
    assert done.returncode != 0 and "NODE_RANK=0 to 1" in done.stderr
