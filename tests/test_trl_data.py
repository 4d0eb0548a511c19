"""What train_trl.py loads is what prepare_for_trl.py wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollouts import write
from train_trl import load
from trl_checks import rows_of

COLUMNS = ["prompt", "completion", "tools"]


def row(number: float) -> dict[str, Any]:
    arguments = {"price": number, "large": 2**70, "small": 1e-9}
    call = {"type": "function", "function": {"name": "buy", "arguments": arguments}}
    return {
        "prompt": [{"role": "user", "content": f"for {number}"}],
        "completion": [{"role": "assistant", "content": "", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": {"name": "buy", "default": number}}],
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("cache")
def test_numbers_are_loaded_exactly(tmp_path: Path) -> None:
    rows = [row(number / 100) for number in range(100)]
    data = load(str(write(tmp_path / "data.jsonl", *rows)), COLUMNS)
    assert [data[at] for at in range(100)] == rows
    counted = data.map(lambda each: {"text": json.dumps(each["completion"])})
    assert "0.7," in counted[70]["text"], "also where datasets writes them again"


@pytest.mark.usefixtures("cache")
def test_shards_are_loaded_in_place_of_the_file(tmp_path: Path) -> None:
    rows = [row(number) for number in range(5)]
    write(tmp_path / "data-00001-of-00002.jsonl", *rows[:3])
    write(tmp_path / "data-00002-of-00002.jsonl", *rows[3:])
    path = tmp_path / "data.jsonl"
    assert list(load(str(path), COLUMNS)) == rows
    assert list(rows_of(path, COLUMNS)) == rows
