"""Prepared rows, read one at a time by trainers: of files and shards, JSONL and parquet."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from inside import CUSTOM, inside
from rl_rollouts.engine.stored import Rows
from rollouts import many, read, write

PREPARED = "--input in.jsonl --kind sft --eval_share 0 --max_bad_share 1"


@pytest.fixture
def expected(tmp_path: Path) -> list[Any]:
    write(tmp_path / "in.jsonl", *many(30))
    assert inside(CUSTOM, tmp_path, PREPARED).returncode == 0
    return read(tmp_path / "out.jsonl")


@pytest.mark.parametrize("options", ["", "--shard_size 8KB", "--output out.parquet"])
def test_rows_are_those_that_were_prepared(
    tmp_path: Path, expected: list[Any], options: str
) -> None:
    (tmp_path / "out.jsonl").unlink()
    done = inside(CUSTOM, tmp_path, f"{PREPARED} {options}")
    assert done.returncode == 0, done.stderr
    suffix = "parquet" if "parquet" in options else "jsonl"
    rows = Rows([str(tmp_path / f"out.{suffix}")])
    assert len(rows) == len(expected) > 50
    assert [each | {"tokens": None} for each in rows] == expected
    if options.startswith("--shard"):
        assert len(rows.files) > 1
    chosen = rows.select([7, 3])
    again: Rows = pickle.loads(pickle.dumps(chosen))
    assert list(again) == list(chosen) == [rows[7], rows[3]]


def test_a_last_line_without_an_end_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"at": 1}\n{"at": 2}')
    (tmp_path / "b.jsonl").write_text("")
    rows = Rows([str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")])
    assert list(rows) == [{"at": 1}, {"at": 2}]
