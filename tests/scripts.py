"""The scripts of data preparation, run where they stand in the template."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import BASE, LIBRARY, TEMPLATES, Result
from rollouts import Json, record, says, user

FILTER = BASE / "filter_rollouts.py"
PREPARE = TEMPLATES / "{{trl}}" / "prepare_for_trl.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(LIBRARY.parent), "PYTHONDONTWRITEBYTECODE": "1"}

both_scripts = pytest.mark.parametrize("script", [FILTER, PREPARE])
Files = dict[str, bytes]


def call(
    script: Path | str, cwd: Path, arguments: str = "--input in.jsonl", **options: Any
) -> Result:
    """Run a script, or a module of the library by its name, by default to out.jsonl; it may fail,
    but never with a traceback."""
    if "--output" not in arguments:
        arguments += " --output out.jsonl"
    options = {"stdin": subprocess.DEVNULL, "encoding": "utf-8", **options}
    command = [sys.executable, *started(script), *arguments.split()]
    done: Result = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, **options)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def started(script: Path | str) -> list[str]:
    """How Python is told to run it."""
    return ["-m", script] if isinstance(script, str) else [str(script)]


def line(number: int, /, **more: Any) -> bytes:
    question = [user(f"question {number}")]
    return json.dumps(record([says(f"answer {number}")], question, **more)).encode()


def everything(folder: Path) -> Files:
    """Each file's content, hidden files too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def old_outputs(folder: Path) -> Files:
    for name in ("out.jsonl", "out.eval.jsonl", "out.prompts.jsonl", "out.manifest.json"):
        (folder / name).write_text("old\n")
    return everything(folder)


def counts(folder: Path, done: Result) -> Json:
    """The manifest's counts, which are those of the printed table."""
    assert done.returncode == 0, done.stderr
    manifest = json.loads((folder / "out.manifest.json").read_text("utf-8"))
    found: Json = manifest["counts"]
    printed = re.findall(r"^ {0,9}([\d,]+)  (.+)$", done.stdout, re.MULTILINE)
    totals = {key: total(value) for key, value in found.items()}
    assert {key: int(value.replace(",", "")) for value, key in printed} == totals
    return found


def total(count: int | dict[str, int]) -> int:
    return sum(count.values()) if isinstance(count, dict) else count


LINES = [line(number) for number in range(40)]
