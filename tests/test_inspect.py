"""`rl-scaffolder inspect`: what rollouts hold, what is wrong with them, what they can train."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import warm
from conftest import ROOT, TOOL
from rollouts import record, says, thinks, user, write


def inspect(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [warm.python(*TOOL), "-m", "scaffolder", "inspect", *arguments]
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
    assert use(found, "sft")["reason"] == "5 answers with a reward of 0.7 or more"
    assert use(found, "dpo")["reason"] == "3 pairs of 5 tasks"
    assert use(found, "kto")["reason"] == "5 good and 5 bad answers"
    assert "5 prompts, 3 of them sometimes solved" in use(found, "grpo")["reason"]
    assert "5 say what is right" in use(found, "grpo")["reason"]


def test_the_command_that_fits_can_be_run_as_it_is_printed(mixed: Path, tmp_path: Path) -> None:
    found = report(str(mixed))
    assert found["recommended"] == "dpo"
    words = shlex.split(found["command"])
    assert words[0] == "rl-scaffolder"
    command = [
        warm.python(*TOOL),
        "-m",
        "scaffolder",
        words[1],
        str(tmp_path / "p"),
        *words[2:],
        "-y",
    ]
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


# --- what it ends with ---


def test_no_algorithm_is_green_that_would_learn_nothing(tmp_path: Path) -> None:
    """Nothing says what is right, so the reward of a new project gives all the same."""
    rows = [record([says(f"{n}")], [user("q")], reward=n % 2) for n in range(4)]
    found = report(str(write(tmp_path / "r.jsonl", *rows)))
    assert use(found, "grpo")["weight"] == "warning" and use(found, "grpo")["feasible"]
    texts = [each["text"] for each in found["findings"] if each["weight"] == "warning"]
    assert any("0 of 4 rollouts say what is right" in each for each in texts)
    assert "grpo" not in found["verdict"]


def test_the_share_at_which_filtering_stops_is_said(mixed: Path) -> None:
    text = inspect(str(mixed)).stdout.decode()
    assert "2 of them no rollouts: filter_rollouts.py stops at more than 1% (--max_bad_share)" in (
        " ".join(text.split())
    )


def test_rewards_and_pairs_say_the_same(tmp_path: Path) -> None:
    """Rewards differ, and no pair comes of it, because the model said the same."""
    rows = [record([says("same")], [user("q")], reward=n % 2) for n in range(4)]
    rows += [{"prompt": f"p{n}", "chosen": "a", "rejected": "b"} for n in range(3)]
    found = report(str(write(tmp_path / "r.jsonl", *rows)))
    assert use(found, "dpo")["reason"].startswith("3 pairs")
    assert any("which give 0 pairs" in each["text"] for each in found["findings"])


def test_each_file_has_its_line(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", record([says("a")], [user("q")], reward=1))
    write(tmp_path / "bad.jsonl", b"{cut", b"{cut")
    files = report(str(tmp_path))["summary"]["files"]
    assert [(Path(each["name"]).name, each["lines"], each["rollouts"]) for each in files] == [
        ("bad.jsonl", 2, 0),
        ("good.jsonl", 1, 1),
    ]
    text = inspect(str(tmp_path)).stdout.decode()
    assert "bad.jsonl" in text and "the line is not JSON" in text
    assert "file" not in inspect(str(tmp_path / "good.jsonl")).stdout.decode().splitlines()[2]


@pytest.mark.parametrize(
    ("content", "said", "remedy"),
    [
        (b"", "is empty", "one JSON object a line"),
        (b" \n\n", "is empty", "one JSON object a line"),
        (b"id,prompt,reward\n1,hi,1\n2,ho,0\n", "columns id, prompt, reward", "read_csv"),
        (b"a\tb\n1\t2\n", "a table with the columns a, b", "read_csv"),
        (bytes(range(256)) * 9, "is no text", "JSON lines, JSON arrays or parquet"),
        ("h\u00e9llo\n".encode() * 30000, "text that begins with 'h\u00e9llo'", "one JSON object"),
        (b"prompt: hi\nreward: 1\n", "text that begins with 'prompt: hi'", "one JSON object"),
    ],
)
def test_a_foreign_format_is_named(tmp_path: Path, content: bytes, said: str, remedy: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(content)
    done = inspect(str(tmp_path / "r.jsonl"))
    assert done.returncode == 2 and done.stdout == b""
    words = " ".join(done.stderr.decode().split())
    assert said in words and remedy in words and "there is no rollout in it" in words


@pytest.mark.parametrize("rows", [[b"[1, 2]"], [b'{"problem": "1+1", "solution": "2"}'] * 3])
def test_lines_that_are_no_rollouts_end_in_what_to_do(tmp_path: Path, rows: list[bytes]) -> None:
    done = inspect(str(write(tmp_path / "r.jsonl", *rows)))
    text = " ".join(done.stdout.decode().split())
    assert done.returncode == 1 and "can be used" in text
    assert "median" not in text, "no table of zeros"
    if b"problem" in rows[0]:
        assert "The records have the keys problem, solution" in text
        assert "--keys prompt=... response=..." in text


def test_prompts_are_called_prompts(tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {n} + 1?", "ground_truth": str(n + 1)} for n in range(3)]
    path = str(write(tmp_path / "r.jsonl", *rows))
    found = report(path)
    fed = {each["algorithm"] for each in found["algorithms"] if each["feasible"]}
    assert fed == {"grpo", "rloo", "ppo", "reinforce_pp", "dapo", "gspo"}
    assert found["recommended"] == "grpo" and "They can feed grpo" in found["verdict"]
    text = inspect(path).stdout.decode()
    assert "3 prompts in 3 lines" in text and "3 of 3 prompts" in text
    assert "! Without a reward" not in text


def test_other_names_are_told_with_keys(tmp_path: Path) -> None:
    rows = [{"problem": f"1 + {n}?", "extra": {"solution": n + 1}} for n in range(3)]
    path = str(write(tmp_path / "r.jsonl", *rows))
    keys = "prompt=problem ground_truth=extra.solution"
    found = report(path, "--keys", keys)
    assert use(found, "grpo")["reason"] == "3 prompts, 3 say what is right"
    assert found["command"].endswith(f"--keys '{keys}'")
    wrong = inspect(path, "--keys", "promt=problem")
    assert wrong.returncode == 2 and b"did you mean prompt?" in wrong.stderr


def test_with_a_framework_it_says_exactly_what_is_taken() -> None:
    shop = str(ROOT / "examples" / "rollouts")
    words = (shop, "--framework", "trl", "--algorithm", "grpo")
    done = inspect(*words)
    assert done.returncode == 1
    text = " ".join(done.stdout.decode().split())
    assert "Training would stop: 35 of 53 prompts have tools, and are refused" in text
    few = ("--set", "rows_with_tools=drop", "--set", "global_batch_size=64")
    found = report(*words, *few)
    assert found["outlook"]["trainer"]["kept"] == 18 and found["outlook"]["trainer"]["steps"] == 2


def test_a_framework_needs_an_algorithm_and_a_file() -> None:
    shop = str(ROOT / "examples" / "rollouts")
    alone = inspect(shop, "--framework", "trl")
    assert alone.returncode == 2 and b"--algorithm" in alone.stderr
    piped = inspect("-", "--framework", "trl", "--algorithm", "sft", stdin=b"{}\n")
    assert piped.returncode == 2 and b"stdin is read only once" in piped.stderr


def test_without_a_framework_tools_are_said_once_for_all() -> None:
    text = " ".join(inspect(str(ROOT / "examples" / "rollouts")).stdout.decode().split())
    assert "40 of 60 prompts have tools. Where nothing is chosen, online training refuses" in text
    assert "- grpo: 60 prompts" in text, "not green: it has to be chosen"
    assert "trl: --set rows_with_tools=environment" in text
