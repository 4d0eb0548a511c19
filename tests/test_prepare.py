"""prepare_for_trl.py: rows, pairs, held-out tasks, and memory that does not grow."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from dataprep.group import spill_beside
from dataprep.normalise import normalise
from rollouts import Json, calls, read, record, result, says, thinks, user, write
from scripts import (
    ENVIRONMENT,
    LINES,
    PREPARE,
    call,
    counts,
    line,
    total,
)

pytestmark = pytest.mark.usefixtures("config")


def prepared(folder: Path, rows: list[Json], more: str = "--eval_share 0") -> list[list[Json]]:
    """Training rows, held-out rows and held-out prompts."""
    write(folder / "in.jsonl", *rows)
    found = counts(folder, call(PREPARE, folder, f"--input in.jsonl {more}"))
    sides = [read(folder / f"out{kind}.jsonl") for kind in ("", ".eval", ".prompts")]
    names = ("training rows", "held-out rows", "held-out prompts")
    assert [len(side) for side in sides] == [found[name] for name in names]
    assert found["read"] == found["rollouts"] + total(found["rejected"])
    return sides


def test_sft_rows_and_prompts(tmp_path: Path) -> None:
    function = {"name": "look", "parameters": {"type": "object"}}
    params = {"input": [user("q")], "tools": [{"type": "function", **function}]}
    output = [thinks("t"), calls("c1"), result("c1"), says("a")]
    stamped = {"_ng_task_index": 3, "agent_ref": {"name": "math"}, "expected_answer": "4"}
    row = record(output, responses_create_params=params, **stamped)
    prompt = [{"role": "user", "content": "q"}]
    called = {"name": "look", "arguments": {"at": 1}}
    completion = [
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "t",
            "tool_calls": [{"id": "c1", "type": "function", "function": called}],
        },
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        {"role": "assistant", "content": "a"},
    ]
    tools = [{"type": "function", "function": function}]
    rows, held_out, prompts = prepared(tmp_path, [row])
    assert rows == [{"prompt": prompt, "completion": completion, "tools": tools}]
    assert held_out == prompts == []
    others = [json.loads(each) for each in LINES]
    _, held_out, prompts = prepared(tmp_path, [row, *others], "--eval_share 0.9")
    assert rows[0] in held_out
    known = {"task": "math:3", "ground_truth": "4", "metadata": {"expected_answer": "4"}}
    assert {**known, "prompt": prompt, "tools": tools} in prompts


def looks(seen: str, end: str, ids: str) -> list[Json]:
    return [calls(ids), result(ids, seen), says(end)]


@pytest.mark.parametrize(
    ("rollouts", "expected"),
    [
        ({1: [says("a")], 0: [says("b")]}, (1, "a", "b")),
        ({0: [says("b")], 0.5: [says("c")], 1: [says("a")]}, (1, "a", "b")),
        ({-1: [says("b")], -0.5: [says("a")]}, (1, "a", "b")),
        ({0.7: [says("a")], 0.2: [says("b")]}, (1, "a", "b")),
        ({0.7: [says("a")], 0.21: [says("b")]}, None),
        ({1: [says("a")]}, None),
        ({1: [says("a")], 0: [says("a")]}, None),
        ({1: looks("x", "a", "id1"), 0: looks("x", "b", "id2")}, (3, "a", "b")),
        ({1: [says("a")], 0: looks("x", "b", "id2")}, (1, "a", "")),
        ({1: looks("x", "a", "id1"), 0: looks("y", "b", "id2")}, None),
        ({1: looks("x", "a", "id1"), 0: looks("x", "a", "id2")[:2]}, None),
        ({1: looks("x", "a", "id1")[:2], 0: looks("x", "a", "id2")}, None),
    ],
)
def test_pairs(
    tmp_path: Path,
    config: Path,
    rollouts: dict[float, list[Json]],
    expected: tuple[int, str, str] | None,
) -> None:
    """Each case beside a pair that is always there, and beside ties."""
    config.write_text("algorithm: dpo\n")
    always = [record([says(end)], "always", reward=len(end)) for end in ("good", "bad")]
    ties = [record([says(end)], "tie") for end in ("good", "bad")]
    rows = [record(output, reward=reward) for reward, output in rollouts.items()]
    pairs, _, _ = prepared(tmp_path, [*always, *ties, *rows], "--min_margin 0.5 --eval_share 0")
    found = {
        pair["prompt"][0]["content"]: (
            len(pair["prompt"]),
            *(turn["content"] for turn in (*pair["chosen"], *pair["rejected"])),
        )
        for pair in pairs
    }
    assert found.pop("always") == (1, "good", "bad")
    assert found == ({"question": expected} if expected else {})
    assert all(pair["prompt"][-1]["role"] != "assistant" for pair in pairs)


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_split(tmp_path: Path, config: Path, algorithm: str) -> None:
    """No task on both sides, any order of the input, ties among the rewards, tasks added."""
    config.write_text(f"algorithm: {algorithm}\n")
    rows = [
        record([says(f"answer {k}")], f"question {n}", reward=k // 2, note=k)
        for n in range(200)
        for k in range(4)
    ]
    first = prepared(tmp_path, rows[:600], "--eval_share 0.2")
    mixed = random.Random(1).sample(rows[:600], 600)
    assert prepared(tmp_path, mixed, "--eval_share 0.2") == first
    second = prepared(tmp_path, [*rows[600:], *mixed], "--eval_share 0.2")
    for before, after in zip(first, second, strict=True):
        assert all(row in after for row in before)
    train, held_out, prompts = ({str(row["prompt"]) for row in side} for side in second)
    assert not train & held_out and held_out == prompts
    assert len(train) + len(held_out) == 200 and 20 <= len(held_out) <= 60


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("source", ["in.jsonl", "-"])
def test_memory_stays_bounded(tmp_path: Path, config: Path, source: str) -> None:
    """Measured by a small process: the peak of a child begins with what its parent holds."""
    config.write_text("algorithm: dpo\n")
    with (tmp_path / "in.jsonl").open("wb") as file:
        for number in range(30_000):
            row = record([says(f"answer {number}")], f"question {number % 4000}", reward=number)
            file.write(json.dumps({**row, "note": f"{number:05}" * 950}).encode() + b"\n")
    assert (tmp_path / "in.jsonl").stat().st_size > 145e6
    script = [sys.executable, str(PREPARE), "--input", source, "--output", "out.jsonl"]
    command = [sys.executable, "-c", MEASURE, *script]
    with (tmp_path / "in.jsonl").open("rb") as stdin:
        output = subprocess.check_output(command, cwd=tmp_path, env=ENVIRONMENT, stdin=stdin)
    peak = int(output.split()[-1]) * (1 if sys.platform == "darwin" else 1024)
    assert peak < 250 * 2**20
    assert len(read(tmp_path / "out.jsonl")) > 3000


def test_large_partitions_are_spilled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataprep.group.PARTITION_BYTES", 1000)
    numbers = [*(number % 300 for number in range(900)), *[1000] * 50]
    with spill_beside(tmp_path / "out.jsonl") as spill:
        for number in numbers:
            spill.add(normalise(json.loads(line(number))))
        tasks = list(spill.tasks())
        assert list(tmp_path.rglob("*.finer"))
    assert not list(tmp_path.glob(".*"))
    assert sorted(map(len, tasks)) == [3] * 300 + [50]
    assert all(len({rollout.task for rollout in task}) == 1 for task in tasks)
