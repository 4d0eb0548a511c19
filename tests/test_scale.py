"""The same output for any number of workers, any order of the input, any engine; bounded memory."""

import gzip
import importlib.util
import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard

from inside import CUSTOM, counted, inside, left_behind, outputs, small_spans
from rl_rollouts.engine.index import PACKED, in_order
from rollouts import encoded, many, record, says, write
from scripts import ENVIRONMENT, FILTER

ROWS = many(300)
PREPARED = "--eval_share 0.3 --kind"
JOBS = {
    "filter": (FILTER, ""),
    "duplicates": (FILTER, "--duplicates exact"),
    "normalised": (FILTER, "--duplicates normalised --max_per_task 2 --min_reward 0.5"),
    "window": (FILTER, "--min_pass_rate 0.3 --max_pass_rate 0.7"),
    "balance": (FILTER, "--balance level --max_per_task 3"),
    "agents": (FILTER, "--balance agent --max_per_category 50"),
    "sft": (CUSTOM, f"{PREPARED} sft --duplicates exact"),
    "best": (CUSTOM, f"{PREPARED} sft --select best --incomplete cut"),
    "one": (CUSTOM, f"{PREPARED} sft --select one --reasoning tags"),
    "best_worst": (CUSTOM, f"{PREPARED} preference"),
    "pairs": (CUSTOM, f"{PREPARED} preference --pairs all --max_pairs 3 --duplicates exact"),
    "whole": (CUSTOM, f"{PREPARED} preference --whole --min_margin 0.6"),
    "unpaired": (CUSTOM, f"{PREPARED} unpaired --select best"),
    "prompts": (CUSTOM, f"{PREPARED} prompts"),
    "trajectories": (CUSTOM, f"{PREPARED} trajectories --images keep"),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rollouts are as much work as many: spans, partitions and sorted runs are small."""
    monkeypatch.setattr("rl_rollouts.engine.run.SMALLEST_SPAN", 20_000)
    monkeypatch.setattr("rl_rollouts.engine.run.LARGEST_SPAN", 60_000)
    monkeypatch.setattr("rl_rollouts.engine.index.PARTITION_INPUT", 50_000)
    monkeypatch.setattr("rl_rollouts.engine.index.SORTED_AT_ONCE", 20)
    monkeypatch.setattr("rl_rollouts.engine.index.FLUSH", 3000)


def done(folder: Path, job: str, inputs: str = "in.jsonl", workers: int = 1) -> Any:
    """Counts, and the rows of every output in their order."""
    script, options = JOBS[job]
    for old in folder.glob("out.*"):
        old.unlink()
    arguments = f"--input {inputs} --max_bad_share 1 --workers {workers} {options}"
    found = counted(folder, inside(script, folder, arguments), script)
    assert found and not left_behind(folder)
    return found, outputs(folder, ordered=True)


def without_order(result: Any) -> Any:
    found, sides = result
    return found, {name: sorted(rows) for name, rows in sides.items()}


@pytest.fixture
def expected(tmp_path: Path, job: str) -> Any:
    write(tmp_path / "in.jsonl", *ROWS)
    return done(tmp_path, job)


all_jobs = pytest.mark.parametrize("job", JOBS)


@all_jobs
def test_spans_and_partitions_do_not_matter(
    tmp_path: Path, job: str, expected: Any, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("small")
    assert done(tmp_path, job) == expected


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("job", ["normalised", "balance", "sft", "pairs", "prompts"])
def test_workers_do_not_matter(
    tmp_path: Path, job: str, workers: int, expected: Any, small: None
) -> None:
    """Also the order is the same: that of the input."""
    assert done(tmp_path, job, workers=workers) == expected


@all_jobs
def test_the_order_of_the_input_does_not_matter(
    tmp_path: Path, job: str, expected: Any, small: None
) -> None:
    write(tmp_path / "in.jsonl", *random.Random(1).sample(ROWS, len(ROWS)))
    assert without_order(done(tmp_path, job)) == without_order(expected)


@all_jobs
def test_files_do_not_matter(tmp_path: Path, job: str, expected: Any, small: None) -> None:
    """Of any kind, some of them empty."""
    text = [
        b"".join(row + b"\n" for row in part) for part in (ROWS[:500], ROWS[500:900], ROWS[900:])
    ]
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(text[0])
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(text[1], 1))
    (folder / "c.jsonl").write_bytes(b"")
    (folder / "d.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text[2]))
    assert done(tmp_path, job, "parts") == expected


def test_many_partitions_are_as_good_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there are tasks, each in several blocks."""
    write(tmp_path / "in.jsonl", *ROWS)
    expected = done(tmp_path, "normalised"), done(tmp_path, "pairs")
    monkeypatch.setattr("rl_rollouts.engine.index.PARTITION_INPUT", 400)
    monkeypatch.setattr("rl_rollouts.engine.index.FLUSH", 3000)
    assert (done(tmp_path, "normalised"), done(tmp_path, "pairs")) == expected


@pytest.mark.long
@pytest.mark.parametrize("job", ["normalised", "pairs"])
def test_ray_does_the_same(tmp_path: Path, ray_python: str, job: str) -> None:
    """A Ray of its own on this machine, and paths relative to where the script is run."""
    write(tmp_path / "in.jsonl", *ROWS)
    expected = done(tmp_path, job)
    for old in tmp_path.glob("out.*"):
        old.unlink()
    script, options = JOBS[job]
    arguments = f"--input in.jsonl --output out.jsonl --max_bad_share 1 --engine ray {options}"
    command = [ray_python, *small_spans(40_000, script, arguments)[1:]]
    environment = {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (counted(tmp_path, ended, script), outputs(tmp_path, ordered=True)) == expected
    assert not left_behind(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("inputs", "message"),
    [("cut.jsonl.gz", "cut.jsonl.gz is damaged"), ("-", "--engine ray cannot read stdin")],
)
def test_ray_says_what_went_wrong(
    tmp_path: Path, ray_python: str, inputs: str, message: str
) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"\n".join(ROWS))[:-99])
    command = [ray_python, str(FILTER), "--input", inputs, "--output", "out.jsonl"]
    environment = {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    ended = subprocess.run(
        [*command, "--engine", "ray"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2 and message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(bool(importlib.util.find_spec("ray")), reason="Ray is installed here")
def test_without_ray_it_is_said_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *ROWS)
    ended = inside(FILTER, tmp_path, "--input in.jsonl --engine ray")
    assert ended.returncode == 2 and "pip install 'ray[data]'" in ended.stderr
    assert not left_behind(tmp_path)


# --- memory ---

PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)
"""
"""Measured by a small process: the peak of a child begins with what its parent holds."""
LARGE = 160_000_000


def generated(tasks: int) -> Iterator[bytes]:
    """Rollouts of 4 KB, of which one tenth is the same as another."""
    note = "0123456789" * 380
    for number in range(LARGE // 4200):
        said = f"answer {number if number % 10 else 0}"
        yield encoded(record([says(said)], f"task {number % tasks}", reward=number % 7, note=note))


@pytest.fixture(scope="module", params=[1, 9000])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One giant task, or many."""
    path = tmp_path_factory.mktemp("large") / "in.jsonl"
    with path.open("wb") as file:
        file.writelines(row + b"\n" for row in generated(request.param))
    assert path.stat().st_size > 0.95 * LARGE
    return path


@pytest.mark.parametrize("job", ["normalised", "window", "sft", "best_worst", "pairs", "prompts"])
def test_memory_does_not_grow_with_the_input(large: Path, tmp_path: Path, job: str) -> None:
    script, options = JOBS[job]
    command = [str(script), "--input", str(large), "--output", "out.jsonl", "--workers", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, sys.executable, *command, *options.split()],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0 or "is left to train on" in ended.stderr, ended.stderr
    peak = int(ended.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)
    assert peak < 64 * 2**20
    for path in tmp_path.iterdir():
        path.unlink()


def test_an_index_that_is_too_large_is_sorted_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a giant task, which no number of partitions divides."""
    monkeypatch.setattr("rl_rollouts.engine.index.SORTED_AT_ONCE", 2000)
    entries = (PACKED.pack(7, order * 7919 % 40_009, 0, 0.0, 0, order) for order in range(40_000))
    tracemalloc.start()
    orders = [entry.order for entry in islice(in_order(entries, tmp_path), 40_000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert orders == sorted(orders) and len(set(orders)) == 40_000
    assert peak < 40_000 * PACKED.size + 8 * 40_000


def test_the_manifest_is_the_same_however_the_work_was_done(tmp_path: Path, small: None) -> None:
    write(tmp_path / "in.jsonl", *ROWS)
    manifests = []
    for workers in (1, 2):
        done(tmp_path, "normalised", workers=workers)
        manifests.append(json.loads((tmp_path / "out.manifest.json").read_text("utf-8")))
    assert manifests[0] == manifests[1]
