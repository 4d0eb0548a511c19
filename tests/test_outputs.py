"""What prepare_for_*.py writes, for every framework and dataset kind: files, names, columns."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import TEMPLATES
from rl_rollouts.engine.write import files_of
from rollouts import calls, read, record, result, says, user, write

FRAMEWORKS = sorted(
    path.stem.removeprefix("prepare_for_") for path in TEMPLATES.glob("*/prepare_*")
)
KINDS = ("sft", "preference", "unpaired", "prompts", "trajectories")


def refused(framework: str) -> dict[str, str]:
    reasons: dict[str, str] = importlib.import_module(f"rl_rollouts.frameworks.{framework}").REFUSED
    return reasons


def prepare(
    framework: str, folder: Path, output: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a script as it stands in a project."""
    script = next(TEMPLATES.glob(f"*/prepare_for_{framework}.py"))
    base = str(TEMPLATES / "{{base}}")
    return subprocess.run(
        [sys.executable, str(script), "--input", "in.jsonl", "--output", output, *options],
        cwd=folder,
        env={"PYTHONPATH": base, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    """Four rollouts of each of twelve tasks, with calls whose arguments differ in shape."""
    tool = {"type": "function", "name": "look", "parameters": {"properties": {}}}
    rows = []
    for task in range(12):
        for number in range(4):
            arguments = json.dumps({f"key{task}": {"deep": [number, 0.7]}})
            output = [calls("c", arguments=arguments), result("c"), says(f"answer {number}")]
            row = record(output, [user(f"question {task}")], reward=number / 4)
            row["responses_create_params"]["tools"] = [{**tool, "description": f"of {task}"}]
            rows.append(row | {"_ng_task_index": task, "expected_answer": str(task)})
            rows[-1]["agent_ref"] = {"name": "looker"}
    write(tmp_path / "in.jsonl", *rows)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_has_rows_of_every_kind_or_says_why_not(
    rollouts: Path, framework: str, kind: str
) -> None:
    done = prepare(framework, rollouts, "out.jsonl", "--kind", kind)
    if kind in refused(framework):
        assert done.returncode == 2
        assert refused(framework)[kind] in done.stderr
        assert list(rollouts.iterdir()) == [rollouts / "in.jsonl"]
        return
    assert done.returncode == 0, done.stderr
    rows, held_out = read(rollouts / "out.jsonl"), read(rollouts / "out.eval.jsonl")
    tasks = 1 if kind in {"preference", "prompts"} else 4
    assert len(rows) + len(held_out) == 12 * tasks
    assert len({json.dumps(row, sort_keys=True) for row in rows}) == len(rows)
    counts = json.loads((rollouts / "out.manifest.json").read_text("utf-8"))["counts"]
    assert counts["training rows"] == len(rows)


def test_all_five_frameworks_are_there() -> None:
    assert FRAMEWORKS == ["custom", "nemo_rl", "openrlhf", "trl", "verl"]


@pytest.mark.parametrize("framework", ["verl", "trl", "openrlhf"])
def test_parquet_gives_back_what_the_jsonl_holds(rollouts: Path, framework: str) -> None:
    assert prepare(framework, rollouts, "out.jsonl", "--kind", "sft").returncode == 0
    assert prepare(framework, rollouts, "out.parquet", "--kind", "sft").returncode == 0
    table = pq.read_table(rollouts / "out.parquet").to_pylist()
    rows = read(rollouts / "out.jsonl")
    assert [decoded(row, rows[0]) for row in table] == rows
    assert (rollouts / "out.eval.parquet").is_file()
    assert (rollouts / "out.prompts.jsonl").is_file(), "evaluate.py reads JSONL"


def decoded(row: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """JSON columns come back as text."""
    return {
        key: json.loads(value) if isinstance(value, str) > isinstance(like[key], str) else value
        for key, value in row.items()
    }


def test_large_outputs_are_divided_and_found_again(rollouts: Path) -> None:
    assert prepare("custom", rollouts, "whole.jsonl", "--kind", "sft").returncode == 0
    assert prepare("custom", rollouts, "out.jsonl", "--kind", "sft").returncode == 0
    done = prepare("custom", rollouts, "out.jsonl", "--kind", "sft", "--shard_size", "4KB")
    assert done.returncode == 0, done.stderr
    shards = files_of(rollouts / "out.jsonl")
    assert len(shards) > 2
    assert shards[0].name == f"out-00001-of-{len(shards):05}.jsonl"
    assert [row for shard in shards for row in read(shard)] == read(rollouts / "whole.jsonl")
    sizes = [shard.stat().st_size for shard in shards]
    assert max(sizes) < 4000 + 1000 and min(sizes) > 1000
    assert prepare("custom", rollouts, "out.jsonl", "--kind", "sft").returncode == 0
    assert files_of(rollouts / "out.jsonl") == [rollouts / "out.jsonl"]
    assert not list(rollouts.glob("out-*")), "shards of an earlier run are gone"


def test_keys_and_arguments_as_the_trainer_wants_them(rollouts: Path) -> None:
    options = ("--kind", "sft", "--columns", "prompt=question", "--arguments", "text")
    assert prepare("custom", rollouts, "out.jsonl", *options, "--workers", "2").returncode == 0
    row = read(rollouts / "out.jsonl")[0]
    assert "prompt" not in row
    assert row["question"][0]["role"] == "user"
    arguments = row["completion"][0]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(arguments, str)
    assert json.loads(arguments).keys() == {"key0"}
    done = prepare(
        "custom", rollouts, "other.jsonl", "--kind", "sft", "--columns", "promt=question"
    )
    assert done.returncode == 2
    assert "promt" in done.stderr and "prompt" in done.stderr


@pytest.mark.parametrize("size", ["0", "big", "-1", "1.5GB"])
def test_a_shard_size_that_is_none_is_refused(rollouts: Path, size: str) -> None:
    done = prepare("custom", rollouts, "out.jsonl", "--kind", "sft", f"--shard_size={size}")
    assert done.returncode == 2
    assert "500MB" in done.stderr
