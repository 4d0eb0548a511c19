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

from custom_runs import ENVIRONMENT, Custom, log, prompt_row, torchrun, user, write_rows
from projects import until

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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
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
    assert code == 1 and "answers 404 to /collective_rpc" in err and "launch/server.sh" in err
