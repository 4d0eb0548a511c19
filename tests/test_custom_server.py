"""grpo of the custom trainer with a generation server, which a stand-in plays: see its text."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import run
from custom_runs import ENVIRONMENT, Custom, log, prompt_row, torchrun, user, write_rows
from projects import python, render, script, until

pytestmark = pytest.mark.long

STANDIN = Path(__file__).with_name("standin_server.py")
GRPO: dict[str, Any] = {
    "algorithm": "grpo",
    "rewards": "letters:score",
    "num_generations": 8,
    "max_new_tokens": 8,
    "global_batch_size": 16,
    "micro_batch_size": 8,
    "lr_scheduler": "constant",
    "warmup_ratio": 0,
    "learning_rate": 1e-2,
}
LETTERS = """
def score(prompt, response, ground_truth, metadata):
    return sum(each.isascii() and each.isalpha() for each in response) / max(1, len(response))
"""
Start = Callable[..., str]


@pytest.fixture
def server(
    tiny_qwen: Path, custom_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Start a server; its address."""
    processes = []
    Path("letters.py").write_text(LETTERS)
    monkeypatch.syspath_prepend(str(custom_folder))

    def start(*arguments: str) -> str:
        port = free_port()
        command = [sys.executable, str(STANDIN), str(tiny_qwen), str(port), *arguments]
        processes.append(subprocess.Popen(command, env=ENVIRONMENT))
        address = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{address}/health"))
        return address

    write_rows([prompt_row([user(f"what is {n} plus {n}?")]) for n in range(12)])
    yield start
    for process in processes:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("processes", [1, 2])
def test_a_server_generates_with_the_newest_weights(
    server: Start, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    address, steps = server(), 20
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", f"{ENVIRONMENT['PYTHONPATH']}:{Path.cwd()}")
    torchrun("--vllm_server_url", address, processes=processes, **GRPO, max_steps=steps)
    rewards = [line["reward"] for line in log()]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.15
    with urllib.request.urlopen(f"{address}/reloads") as answer:
        assert json.load(answer) == steps
    # Sampled with the same weights, if in bfloat16: no token is far from what it was.
    assert all(line["clip_ratio"] == 0 for line in log())
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "final",
        "log.jsonl",
        "server-weights",
    ]


def test_a_server_that_is_not_there_is_named(custom: Custom, server: Start) -> None:
    code, _, err = custom("--vllm_server_url", "http://127.0.0.1:9", **GRPO)
    assert code == 1 and "http://127.0.0.1:9 does not answer /v1/models" in err


def test_a_server_without_development_mode_is_named(custom: Custom, server: Start) -> None:
    code, _, err = custom("--vllm_server_url", server("--production"), **GRPO)
    assert code == 1 and "does not answer /collective_rpc: 404" in err and "launch/server.sh" in err


SERVED = """
case "$*" in
  *"-m vllm.entrypoints.cli.main serve "*)
    while [ "$1" != serve ]; do shift; done; model=$2
    while [ "$1" != --port ]; do shift; done
    exec "{python}" "{standin}" "$model" "$2" ;;
  *) exec "{python}" "$@" ;;
esac
"""


def test_the_launch_script_trains_beside_its_server(tmp_path: Path) -> None:
    """As rendered for two GPUs, with the stand-in where vLLM would start."""
    words = ("--framework", "custom", "--algorithm", "grpo", "--generation", "vllm_server")
    project = render(tmp_path, *words, "--gpus-per-node", "2", "--model", "smoke/model")
    sample = "tests/sample_rollouts.jsonl"
    for command in (
        ["-m", "rl_rollouts.smoke.tiny_model", "--text", sample, "--output", "smoke/model"],
        ["prepare_for_custom.py", "--input", sample, "--output", "training_data.jsonl"],
    ):
        assert python(project, *command).returncode == 0
    port = str(free_port())
    for path in (project / "launch").glob("*.sh"):
        path.write_text(path.read_text("utf-8").replace("8000", port), "utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    script(tools / "nvidia-smi", "echo 0; echo 1")
    body = SERVED.format(python=sys.executable, standin=STANDIN)
    environment = {**ENVIRONMENT, "PATH": f"{tools}:{ENVIRONMENT['PATH']}", "PYTHONPATH": ""}
    environment |= {"PYTHON": str(script(tools / "python", body)), "CONFIG": "smoke_config.yaml"}
    result = run(
        [str(project / "launch/local.sh"), "--set", "max_steps=3", "--set", "max_new_tokens=8"],
        project,
        env=environment,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "starting the generation server on GPU(s) 1" in result.stdout
    assert [line["step"] for line in log(str(project / "smoke/run"))] == [2, 3]
    assert (project / "smoke/run/final/model.safetensors").is_file()
