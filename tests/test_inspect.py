"""`rl-scaffolder inspect`: what rollouts hold, what is wrong with them, what they can train."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from rollouts import record, says, thinks, user, write


def inspect(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "scaffolder", "inspect", *arguments]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, check=False)


def report(*arguments: str, stdin: bytes = b"") -> dict[str, Any]:
    done = inspect(*arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def use(found: dict[str, Any], algorithm: str) -> dict[str, Any]:
    chosen: dict[str, Any] = next(e for e in found["algorithms"] if e["algorithm"] == algorithm)
    return chosen


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Five tasks of two rollouts: three with one right and one wrong, one always, one never."""
    rewards = [(0, 1), (0, 1), (1, 0), (1, 1), (0, 0)]
    rows = [
        record(
            [thinks("hm"), says(f"answer {number}")],
            [user(f"question {task}")],
            reward=reward,
            _ng_task_index=task,
            expected_answer="4",
        )
        for task, both in enumerate(rewards)
        for number, reward in enumerate(both)
    ]
    return write(tmp_path / "my rollouts.jsonl", *rows, record([says("x")], reward="1"), b"{cut")


def test_what_is_there_is_counted(mixed: Path) -> None:
    summary = report(str(mixed))["summary"]
    assert (summary["read"], summary["rollouts"], summary["solved"]) == (12, 10, 5)
    assert summary["tasks"]["count"] == 5
    assert summary["tasks"]["differing"] == 3
    assert summary["marks"]["reasoning"] == 10
    assert sum(summary["rejected"].values()) == 2


def test_each_algorithm_is_judged_by_what_it_needs(mixed: Path) -> None:
    found = report(str(mixed))
    assert use(found, "sft")["reason"] == "5 of 10 rollouts solved their task"
    assert use(found, "dpo")["reason"] == "3 pairs of 5 tasks"
    assert use(found, "kto")["reason"] == "5 good and 5 bad answers"
    assert "5 tasks, 3 of them sometimes solved" in use(found, "grpo")["reason"]
    assert "10 of 10 rollouts say what is right" in use(found, "grpo")["reason"]


def test_the_command_that_fits_can_be_run_as_it_is_printed(mixed: Path, tmp_path: Path) -> None:
    found = report(str(mixed))
    assert found["recommended"] == "dpo"
    words = shlex.split(found["command"])
    assert words[0] == "rl-scaffolder"
    command = [sys.executable, "-m", "scaffolder", words[1], str(tmp_path / "p"), *words[2:], "-y"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert str(mixed) in (tmp_path / "p" / "Makefile").read_text("utf-8")
    text = inspect(str(mixed)).stdout.decode()
    assert found["command"] in text


def test_tasks_without_differences_are_no_preferences(tmp_path: Path) -> None:
    rows = [record([says(str(n))], [user(f"q{n}")], reward=1, _ng_task_index=n) for n in range(4)]
    found = report(str(write(tmp_path / "r.jsonl", *rows)))
    assert not use(found, "dpo")["feasible"]
    assert found["recommended"] == "sft"
    assert any("attempted only once" in each["text"] for each in found["findings"])


def test_what_is_wrong_is_said_with_the_reason(mixed: Path) -> None:
    text = inspect(str(mixed)).stdout.decode()
    assert "What cannot be used" in text
    assert "the reward is not a number" in text
    assert "2 of 12 lines (17%) could not be used" in text


def test_stdin_and_chat_records(mixed: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    lines = json.dumps(chat | {"reward": 1}).encode()
    assert report("-", stdin=lines)["summary"]["rollouts"] == 1
    assert report("-", stdin=mixed.read_bytes())["summary"]["rollouts"] == 10


def test_no_rollout_is_a_failed_check_and_no_file_is_wrong_usage(tmp_path: Path) -> None:
    nothing = write(tmp_path / "r.jsonl", b"{}", b"[]")
    done = inspect(str(nothing))
    assert done.returncode == 1
    assert b"There is no rollout that can be used" in done.stdout
    assert b"rl-scaffolder new" not in done.stdout
    missing = inspect(str(tmp_path / "absent"), "--json")
    assert missing.returncode == 2
    assert "absent" in json.loads(missing.stdout)["error"]["problem"]
    assert b"Traceback" not in missing.stderr


def test_a_project_in_the_current_folder_does_not_get_in_the_way(
    mixed: Path, tmp_path: Path
) -> None:
    (tmp_path / "rl_rollouts").mkdir()
    (tmp_path / "rl_rollouts" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    command = [sys.executable, "-m", "scaffolder", "inspect", str(mixed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
