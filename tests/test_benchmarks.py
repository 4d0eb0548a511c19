"""The benchmarks' input is what it promises to be, and what is compared does the same work."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Result, run

BENCHMARKS = ROOT / "benchmarks"
PROJECT = ROOT / "examples" / "projects" / "trl-sft"
Json = dict[str, Any]
linux = pytest.mark.skipif(sys.platform != "linux", reason="costs are read as Linux counts them")


def python(script: Path, *arguments: str | Path) -> Result:
    """Run a script; its text output on failure is the message of the test."""
    command = [sys.executable, str(script), *map(str, arguments)]
    # The project's folder is a snapshot, which bytecode would change.
    return run(command, BENCHMARKS, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


def done(script: Path, *arguments: str | Path) -> str:
    result = python(script, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def generated(path: Path, *options: str) -> Path:
    done(BENCHMARKS / "generate.py", "--output", path, *options)
    return path


def lines_of(path: Path) -> list[Json]:
    """Every line that is a JSON object."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("rollouts") / "rollouts.jsonl", "--bytes", "30MB")


@pytest.fixture(scope="module")
def records(rollouts: Path) -> list[Json]:
    return lines_of(rollouts)


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    one, same, other = (
        generated(tmp_path / name, "--bytes", "1MB", "--seed", seed).read_bytes()
        for name, seed in (("one", "7"), ("same", "7"), ("other", "8"))
    )
    assert one == same != other


def test_short_rollouts_are_of_small_items_tools_and_turns(tmp_path: Path) -> None:
    one, same = (
        generated(tmp_path / name, "--bytes", "2MB", "--shape", "short") for name in ("one", "same")
    )
    assert one.read_bytes() == same.read_bytes()
    records = lines_of(one)
    outputs = [record["response"]["output"] for record in records]
    texts = [len(json.dumps(item)) for output in outputs for item in output]
    assert sum(texts) / len(texts) < 500
    assert sum(map(len, outputs)) / len(outputs) > 4
    assert sum(map(is_parallel, outputs)) > 0.2 * len(outputs)
    assert any(item.get("role") == "user" for output in outputs for item in output)
    tasks = [record["_ng_task_index"] for record in records]
    assert len(tasks) > 5 * len(set(tasks))


def test_sizes_are_as_asked_and_like_those_of_real_rollouts(rollouts: Path) -> None:
    assert 30e6 <= rollouts.stat().st_size < 31e6
    sizes = sorted(map(len, rollouts.read_bytes().splitlines()))
    assert 5_000 < sizes[len(sizes) // 2] < 11_000
    assert 14_000 < sum(sizes) / len(sizes) < 26_000
    assert sizes[-1] > 150_000


def test_few_lines_are_broken(rollouts: Path, records: list[Json]) -> None:
    broken = len(rollouts.read_bytes().splitlines()) - len(records)
    assert 0 < broken < 0.005 * len(records)


def test_every_shape_is_there(records: list[Json]) -> None:
    outputs = [record["response"]["output"] for record in records]
    kinds = Counter(item["type"] for output in outputs for item in output)
    assert kinds.keys() == {"message", "reasoning", "function_call", "function_call_output"}
    assert any(item.get("role") == "user" for output in outputs for item in output)
    assert any(is_parallel(output) for output in outputs)
    assert any(item.get("generation_token_ids") for output in outputs for item in output)
    assert any(record["response"]["incomplete_details"] for record in records)
    assert any(record.get("judge_evaluations") for record in records)
    inputs = [type(record["responses_create_params"]["input"]) for record in records]
    assert set(inputs) == {list, str}
    rewards = {record["reward"] for record in records}
    assert {None, -1.0, 0.0, 1.0} < rewards
    assert any(reward % 1 for reward in rewards if reward)


def is_parallel(output: list[Json]) -> bool:
    kinds = [item["type"] for item in output]
    return ["function_call"] * 2 in (kinds[at : at + 2] for at in range(len(kinds)))


def test_tools_stand_in_the_request_and_in_the_response(records: list[Json]) -> None:
    with_tools = [record for record in records if record["responses_create_params"]["tools"]]
    assert 0.1 < len(with_tools) / len(records) < 0.4
    for record in with_tools:
        assert record["response"]["tools"] == record["responses_create_params"]["tools"]


def test_tasks_have_several_rollouts_apart_from_each_other(records: list[Json]) -> None:
    tasks = [record["_ng_task_index"] for record in records if "_ng_task_index" in record]
    assert 5 < len(tasks) / len(set(tasks)) < 10
    neighbours = sum(one == other for one, other in pairwise(tasks))
    assert neighbours < 0.1 * len(tasks)


def test_some_lines_are_there_twice(rollouts: Path) -> None:
    lines = rollouts.read_bytes().splitlines()
    assert 0.005 < 1 - len(set(lines)) / len(lines) < 0.03


def test_text_beyond_ascii_is_written_as_it_is(rollouts: Path) -> None:
    lines = rollouts.read_bytes().splitlines()
    assert 0.3 < sum(not line.isascii() for line in lines) / len(lines) < 0.6


def test_types_change_late(records: list[Json]) -> None:
    changed = [at for at, record in enumerate(records) if isinstance(record.get("metadata"), list)]
    assert changed
    assert min(changed) > 0.7 * len(records)


def test_environments_follow_each_other_where_asked(tmp_path: Path) -> None:
    path = generated(tmp_path / "rollouts.jsonl", "--bytes", "10MB", "--order", "env")
    agents = [record.get("agent_ref", {}).get("name") for record in lines_of(path)]
    turns = [agent for agent, before in zip(agents, [0, *agents], strict=False) if agent != before]
    # A duplicate may come from the environment before.
    assert len(set(agents)) >= 10
    assert len(turns) < 6 * len(set(agents))


def test_nothing_is_wrong_where_asked(tmp_path: Path) -> None:
    path = generated(tmp_path / "rollouts.jsonl", "--bytes", "10MB", "--mess", "none")
    records = lines_of(path)
    assert len(records) == len(path.read_bytes().splitlines())
    assert all(isinstance(record["reward"], float) for record in records)
    assert all(isinstance(record.get("metadata", {}), dict) for record in records)


@pytest.fixture
def filtered(rollouts: Path, tmp_path: Path) -> Path:
    """Whole rollouts of any reward, as our filter leaves them."""
    kept = tmp_path / "filtered.jsonl"
    script = PROJECT / "filter_rollouts.py"
    done(script, "--input", rollouts, "--output", kept, "--min_reward", "-9")
    return kept


def prepared(source: Path, folder: Path, algorithm: str, *options: str) -> list[Json]:
    """Rows of both sides of the split, by our script."""
    config, output = folder / "config.yaml", folder / "ours.jsonl"
    config.write_text(f"algorithm: {algorithm}\nassistant_only_loss: true\n")
    files = ["--input", str(source), "--output", str(output), "--config", str(config)]
    done(PROJECT / "prepare_for_trl.py", *files, *options)
    return [*lines_of(output), *lines_of(folder / "ours.eval.jsonl")]


def scripted(source: Path, folder: Path, algorithm: str, *options: str) -> list[Json]:
    """The same by the json script."""
    output = folder / "theirs.jsonl"
    files = ["--input", str(source), "--output", str(output), "--algorithm", algorithm]
    done(BENCHMARKS / "baselines.py", "json_script", *files, *options)
    return [row for path in sorted(folder.glob("theirs*.jsonl")) for row in lines_of(path)]


def distinct(rows: list[Json]) -> set[str]:
    keys = ("prompt", "completion", "tools")
    return {json.dumps({key: row.get(key) for key in keys}, sort_keys=True) for row in rows}


def test_the_json_script_keeps_the_same_rows(rollouts: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    good = ["--min_reward", "0.7"]
    done(PROJECT / "filter_rollouts.py", "--input", rollouts, "--output", kept, *good)
    theirs = scripted(rollouts, tmp_path, "sft", *good)
    assert len(theirs) > 300
    assert len(scripted(rollouts, tmp_path, "sft", *good, "--dedupe")) == len(distinct(theirs))
    assert distinct(theirs) == distinct(prepared(kept, tmp_path, "sft"))


@pytest.mark.parametrize("margin", ["0", "0.3", "1", "1.5"])
def test_the_json_script_makes_the_same_pairs(filtered: Path, tmp_path: Path, margin: str) -> None:
    at_least = ["--min_margin", margin]
    theirs = scripted(filtered, tmp_path, "dpo", *at_least)
    ours = prepared(filtered, tmp_path, "dpo", *at_least)
    assert len(theirs) == len(ours) > 0
    assert Counter(map(question, theirs)) == Counter(map(question, ours))


def test_the_json_script_makes_both_in_one_pass(filtered: Path, tmp_path: Path) -> None:
    expected = {}
    for algorithm in ("sft", "dpo"):
        scripted(filtered, tmp_path, algorithm)
        for side in ("", ".eval"):
            rows = (tmp_path / f"theirs{side}.jsonl").read_bytes()
            expected[f"theirs.{algorithm}{side}.jsonl"] = rows
    scripted(filtered, tmp_path, "both")
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected


def question(pair: Json) -> str:
    """What was asked, before any turn that both answers share."""
    roles = [message["role"] for message in pair["prompt"]]
    asked = pair["prompt"][: roles.index("assistant")] if "assistant" in roles else pair["prompt"]
    return json.dumps(asked, sort_keys=True)


def test_datasets_keeps_the_rows_of_the_json_script(tmp_path: Path) -> None:
    options = ["--bytes", "2MB", "--mess", "none"]
    source = generated(tmp_path / "rollouts.jsonl", *options)
    output = tmp_path / "datasets.jsonl"
    files = ["--input", str(source), "--output", str(output), "--min_reward", "0.7"]
    done(BENCHMARKS / "baselines.py", "datasets", *files)
    scripted(source, tmp_path, "sft", "--min_reward", "0.7")
    assert output.read_bytes() == (tmp_path / "theirs.jsonl").read_bytes()


@linux
@pytest.mark.long
def test_everything_is_measured_in_one_go(tmp_path: Path) -> None:
    table = tmp_path / "README.md"
    table.write_text(
        "before\n<!-- measured: written by bench.py, not by hand -->\nold\n"
        "<!-- end of measured -->\nafter\n"
    )
    options = ["--size", "2MB", "--rounds", "1", "--skip", "datasets"]
    files = ["--scratch", str(tmp_path / "scratch"), "--markdown", str(table)]
    result = python(BENCHMARKS / "bench.py", *options, *files)
    text = table.read_text("utf-8")
    assert result.returncode == ("**no**" in text), result.stdout + result.stderr
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text.splitlines()
    for program in ("filter_rollouts.py", "prepare_for_trl.py, sft", "prepare_for_trl.py, dpo"):
        assert f"\n| {program}" in text
    for program in (
        "prepare_for_trl.py, sft and dpo in one run",
        "json script, sft and dpo in one",
    ):
        assert f"\n| {program}" in text
    for target in ("1.5", "2", "2.5", "0.5", "64 MB"):
        assert text.count(f"| at most {target} |") == 2  # of long rollouts, and of short ones
    assert list((tmp_path / "scratch").glob("rollouts-*.jsonl"))
    assert not (tmp_path / "scratch" / "outputs").exists()


def test_a_failing_program_is_reported_not_measured(tmp_path: Path) -> None:
    for script in ("filter_rollouts", "prepare_for_trl"):
        (tmp_path / f"{script}.py").write_text(
            "import sys\nif '--help' not in sys.argv: sys.exit('no such luck')\n"
        )
    folders = ["--scratch", str(tmp_path / "scratch"), "--project", str(tmp_path)]
    result = python(BENCHMARKS / "bench.py", "--size", "1MB", *folders)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "no such luck" in result.stderr


def cost(report: Path, *command: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and bytes of peak memory, as the launcher reports them."""
    launcher = [sys.executable, "-I", "-S", str(BENCHMARKS / "launcher.py"), str(report)]
    subprocess.run([*launcher, sys.executable, *command], check=True)
    wall, cpu, peak = map(float, report.read_text().split())
    return wall, cpu, peak


@linux
def test_no_process_of_a_command_is_missed(tmp_path: Path) -> None:
    """A child that outlives its parent works for half a second and holds 200 MB."""
    program = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    held = bytearray(os.urandom(1)) * 200_000_000\n"
        "    while time.process_time() < 0.5: pass\n"
    )
    wall, cpu, peak = cost(tmp_path / "cost.txt", "-c", program)
    assert cpu > 0.5 > wall
    assert 200e6 < peak < 260e6


@linux
def test_a_small_program_is_not_charged_for_a_large_one_that_starts_it(tmp_path: Path) -> None:
    held = bytearray(b"x") * 200_000_000
    assert cost(tmp_path / "cost.txt", "-c", "pass")[2] < 40e6 < len(held)
