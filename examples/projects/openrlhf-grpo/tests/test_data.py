"""From the sample rollouts to training rows, as `make smoke` does it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE = PROJECT / "tests" / "sample_rollouts.jsonl"


def run(script: str, *arguments: str) -> None:
    subprocess.run([sys.executable, script, *arguments], cwd=PROJECT, check=True)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_rollout_is_kept_removed_or_rejected(tmp_path: Path) -> None:
    output = tmp_path / "filtered.jsonl"
    run("filter_rollouts.py", "--input", str(SAMPLE), "--output", str(output), "--min_reward", "1")
    counts = json.loads((tmp_path / "filtered.manifest.json").read_text("utf-8"))["counts"]
    left_out = sum(counts["removed"].values()) + sum(counts["rejected"].values())
    assert counts["read"] == len(rows(SAMPLE)) == counts["kept"] + left_out
    assert all(row["reward"] == 1 for row in rows(output))
    assert set(output.read_text("utf-8").splitlines()) <= set(
        SAMPLE.read_text("utf-8").splitlines()
    )


def test_no_task_is_on_both_sides(tmp_path: Path) -> None:
    script = next(path.name for path in PROJECT.glob("prepare_for_*.py"))
    output = tmp_path / "training_data.jsonl"
    run(script, "--input", str(SAMPLE), "--output", str(output), "--eval_share", "0.3")
    train, held_out = rows(output), rows(tmp_path / "training_data.eval.jsonl")
    assert train and held_out
    questions = [{question(row) for row in side} for side in (train, held_out)]
    assert not questions[0] & questions[1]


def question(row: dict[str, Any]) -> str:
    """What the user asked; some frameworks have whole conversations."""
    messages = row.get("prompt") or row["messages"]
    return next(str(each["content"]) for each in messages if each["role"] == "user")
