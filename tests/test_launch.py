"""The scripts that start the trainer: on which GPUs, with which server beside it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
import yaml

from conftest import run, running
from projects import render, script, until

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("present", "visible", "said"),
    [
        (0, "", "only 'make smoke' trains"),
        (1, "", "Render it again with --gpus-per-node 1"),
        (4, "3", "this machine shows 1"),
        (4, "", None),
        (4, "2,3", None),
        (4, "3,1,0", None),
    ],
)
def test_launch_script_counts_gpus_and_passes_arguments_on(
    tmp_path: Path, present: int, visible: str, said: str | None
) -> None:
    two = render(tmp_path, "--framework", "trl", "--algorithm", "sft", "--gpus-per-node", "2")
    (two / ".env").write_text("WANDB_API_KEY='a b'\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    no_driver = "echo NVIDIA-SMI has failed; exit 9"
    script(tools / "nvidia-smi", "\n".join(f"echo {gpu}" for gpu in range(present)) or no_driver)
    recorder = script(
        tools / "python", 'printf "%s|" "$CUDA_VISIBLE_DEVICES" "$WANDB_API_KEY" "$@"'
    )
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": str(recorder), "DATA": "a b"}
    environment |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
    command = [str(two / "launch/local.sh"), "--learning_rate", "1e-6"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if said:
        assert result.returncode == 2
        assert "planned for 2 GPU(s)" in result.stderr and said in result.stderr
        return
    assert result.stdout.split("|")[:-1] == [
        *(
            ",".join((visible or "0,1").split(",")[:2]),
            "a b",
            "-m",
            "accelerate.commands.launch",
            "--config_file",
        ),
        *("accelerate_config.yaml", "train_trl.py", "--data_path", "a b"),
        *("--config", "trl_config.yaml", "--learning_rate", "1e-6"),
    ]


SERVER = """
import http.server, os, sys, time
words = sys.argv[1:]
assert words[0] == "serve", words
print("GPUs", os.environ["CUDA_VISIBLE_DEVICES"], os.environ["VLLM_SERVER_DEV_MODE"], flush=True)
if os.environ.get("SERVER_FAILS"):
    sys.exit("out of memory, or so")
time.sleep(float(os.environ.get("SERVER_SECONDS", 1)))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_): pass
address = "", int(words[words.index("--port") + 1])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
"""In place of vLLM's own, which needs a GPU: answers on /health after a while."""
TRAINER = """
import os, sys, time, urllib.request
if os.environ.get("TRAINER_SECONDS"):
    time.sleep(float(os.environ["TRAINER_SECONDS"]))
words = sys.argv[1:]
print("trains on", os.environ["CUDA_VISIBLE_DEVICES"])
print("words", *words)
address = words[words.index("--vllm_server_base_url") + 1]
print("health", urllib.request.urlopen(address + "/health").status)
sys.exit(int(os.environ.get("TRAINER_CODE", 0)))
"""


PATIENCE = 300
"""Seconds: another test may keep the disk busy, with what it installs."""


@pytest.fixture
def served(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A project whose server has a GPU of its own, and an environment with four GPUs in it."""
    words = ("--framework", "trl", "--algorithm", "grpo", "--gpus-per-node", "4")
    project = render(tmp_path, *words, "--set", "generation=vllm_server")
    port = free_port()
    for path in (project / "launch").glob("*.sh"):
        path.write_text(path.read_text("utf-8").replace("8000", str(port)), "utf-8")
    server = tmp_path / "modules" / "vllm/entrypoints/cli/main.py"
    server.parent.mkdir(parents=True)
    server.write_text(SERVER)
    trainer = tmp_path / "modules" / "trainer.py"
    trainer.write_text(TRAINER)
    tools = tmp_path / "bin"
    tools.mkdir()
    script(tools / "nvidia-smi", "\n".join(f"echo {gpu}" for gpu in range(4)))
    real = shlex.quote(sys.executable)
    python = script(
        tools / "python",
        f'[[ $2 == accelerate.commands.launch ]] || exec {real} "$@"\n'
        f'shift 2; exec {real} {shlex.quote(str(trainer))} "$@"',
    )
    return project, {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHON": str(python),
        "PYTHONPATH": str(tmp_path / "modules"),
        "PORT": str(port),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def listening(port: int) -> Iterator[None]:
    """A port that takes every connection, as that of a trainer."""
    with ThreadingTCPServer(("", port), BaseRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


Served = tuple[Path, dict[str, str]]


def test_the_server_is_waited_for_and_stopped_when_training_ends(served: Served) -> None:
    project, environment = served
    result = run([str(project / "launch/local.sh"), "--max_steps", "1"], project, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "trains on 0,1,2" in result.stdout, "and not on that of the server"
    assert "GPUs 3 1" in (project / "server.log").read_text("utf-8")
    assert "health 200" in result.stdout
    assert "--num_processes" not in result.stdout and result.stdout.count("--max_steps 1") == 1
    assert not answers(environment["PORT"])


def test_the_server_is_stopped_when_training_fails(served: Served) -> None:
    project, environment = served
    environment |= {"TRAINER_CODE": "7"}
    result = run([str(project / "launch/local.sh")], project, env=environment)
    assert result.returncode == 7
    assert not answers(environment["PORT"])


def test_a_server_that_dies_ends_the_wait_and_shows_why(served: Served) -> None:
    project, environment = served
    environment |= {"SERVER_FAILS": "1"}
    result = run([str(project / "launch/local.sh")], project, env=environment, timeout=PATIENCE)
    assert result.returncode == 1
    assert "out of memory, or so" in result.stderr
    assert "ended before it was ready" in result.stderr
    assert "trains on" not in result.stdout


def test_a_server_that_never_answers_is_given_up(served: Served) -> None:
    project, environment = served
    environment |= {"SERVER_SECONDS": "1000", "SERVER_TIMEOUT": "1"}
    result = run([str(project / "launch/local.sh")], project, env=environment, timeout=PATIENCE)
    assert result.returncode == 1 and "no answer from" in result.stderr


def test_a_port_that_is_taken_is_refused_at_once(served: Served) -> None:
    project, environment = served
    with socket.create_server(("", int(environment["PORT"]))):
        result = run([str(project / "launch/local.sh")], project, env=environment, timeout=PATIENCE)
    assert result.returncode == 2 and "is taken" in result.stderr


def test_a_terminated_launch_leaves_no_server_behind(served: Served) -> None:
    project, environment = served
    environment |= {"TRAINER_SECONDS": "300"}
    command = [str(project / "launch/local.sh")]
    with running(command, cwd=project, env=environment) as process:
        until(lambda: answers(environment["PORT"]))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) != 0
    until(lambda: not answers(environment["PORT"]), PATIENCE)


SAVES = """
import signal, sys, time, urllib.request
words = sys.argv[1:]
address = words[words.index("--vllm_server_base_url") + 1]
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print("trains", flush=True)
while not asked:
    time.sleep(0.05)
time.sleep(1.5)
print("saved beside the server:", urllib.request.urlopen(address + "/health").status, flush=True)
sys.exit(143)
"""
"""A trainer that ends its step after SIGTERM, with what its server generates, and saves."""


@pytest.mark.parametrize("everyone", [False, True], ids=["the script alone", "every process"])
@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_lets_the_trainer_save_beside_its_server(
    served: Served, everyone: bool, times: int
) -> None:
    """As Slurm does, which sends it to every process of a job, or as kill does, to the script."""
    project, environment = served
    trainer = Path(environment["PYTHONPATH"]) / "trainer.py"
    trainer.write_text(SAVES)
    command = [str(project / "launch/local.sh")]
    pipe = subprocess.PIPE
    with running(command, cwd=project, env=environment, stdout=pipe, text=True) as process:
        assert process.stdout
        while process.stdout.readline() != "trains\n":
            pass
        for each in (process.pid, *(below(process.pid) if everyone else ())) * times:
            os.kill(each, signal.SIGTERM)
        assert process.stdout.read() == "saved beside the server: 200\n"
        assert process.wait(PATIENCE) == 143
    assert not answers(environment["PORT"])


def below(process: int) -> list[int]:
    """Its children, and theirs."""
    words = Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()
    return [each for word in words for each in (int(word), *below(int(word)))]


def test_a_server_whose_trainer_never_comes_ends_with_an_error(
    tmp_path: Path, served: Served
) -> None:
    _, environment = served
    words = ("--framework", "custom", "--algorithm", "grpo", "--gpus-per-node", "4", "--nodes", "2")
    project = render(tmp_path / "modules", *words, "--generation", "vllm_server")
    script_ = project / "launch" / "server.sh"
    text = script_.read_text("utf-8").replace("8000", environment["PORT"])
    script_.write_text(text.replace("sleep 5", "sleep 0.2"), "utf-8")
    environment |= {"MAIN_ADDRESS": "127.0.0.1", "SERVER_ADDRESS": "127.0.0.1"}
    environment |= {"MAIN_PORT": str(free_port()), "NODE_RANK": "1", "SERVER_TIMEOUT": "4"}
    result = run([str(project / "launch/local.sh")], project, env=environment, timeout=PATIENCE)
    assert result.returncode == 1 and "no trainer on 127.0.0.1" in result.stderr
    assert "can change the model" in result.stderr
    assert not answers(environment["PORT"])


def test_the_trainer_opens_the_port_on_which_its_server_waits(tmp_path: Path) -> None:
    """Also where one machine trains: torchrun ignores the port of a run that is --standalone."""
    words = ("--framework", "custom", "--algorithm", "grpo", "--gpus-per-node", "1", "--nodes", "2")
    spec = yaml.safe_load(
        (
            render(tmp_path, *words, "--generation", "vllm_server") / ".copier-answers.yml"
        ).read_text()
    )
    port, flags = free_port(), spec["plan"]["node_flags"]
    worker = tmp_path / "worker.py"
    worker.write_text("import time; time.sleep(60)")
    asked = [flags["rank"], "0", flags["address"], "127.0.0.1", flags["port"], str(port)]
    command = [sys.executable, *spec["plan"]["launcher"], *asked, str(worker)]
    with running(command, cwd=tmp_path) as process:
        until(lambda: answers(str(port)), PATIENCE)
        process.terminate()


def test_the_last_of_several_machines_generates(tmp_path: Path, served: Served) -> None:
    """Both on this machine: the server's ends when the trainer's port has been there and gone."""
    _, environment = served
    words = ("--framework", "trl", "--algorithm", "grpo", "--gpus-per-node", "4", "--nodes", "2")
    server = ("--set", "generation=vllm_server", "--set", "generation_gpus=4")
    project = render(tmp_path / "modules", *words, *server)
    script_ = project / "launch" / "server.sh"
    text = script_.read_text("utf-8").replace("8000", environment["PORT"])
    script_.write_text(text.replace("sleep 5", "sleep 0.2"), "utf-8")
    main = free_port()
    shared = {"MAIN_ADDRESS": "127.0.0.1", "SERVER_ADDRESS": "127.0.0.1", "MAIN_PORT": str(main)}
    environment |= shared
    command = [str(project / "launch/local.sh")]
    with running(
        command, cwd=project, env={**environment, "NODE_RANK": "1"}, stdout=subprocess.PIPE
    ) as last:
        with listening(main):
            first = run(command, project, env={**environment, "NODE_RANK": "0"}, timeout=PATIENCE)
            assert first.returncode == 0, first.stdout + first.stderr
            assert "trains on 0,1,2,3" in first.stdout and "health 200" in first.stdout
            assert f"--machine_rank 0 --main_process_ip 127.0.0.1 --main_process_port {main}" in (
                " ".join(first.stdout.split())
            )
        assert last.wait(PATIENCE) == 0
    assert "GPUs 0,1,2,3 1" in (project / "server.log").read_text("utf-8")
    assert not answers(environment["PORT"])
    alone = run(command, project, env={**environment, "NODE_RANK": ""}, timeout=PATIENCE)
    assert alone.returncode != 0 and "start this script on 2 machines" in alone.stderr
