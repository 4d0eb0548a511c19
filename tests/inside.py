"""The scripts of data preparation in this process: many runs without starting Python each time."""

import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from conftest import TEMPLATES, Result
from rollouts import Json
from scripts import ENVIRONMENT, FILTER, total

CUSTOM = TEMPLATES / "{{custom}}" / "prepare_for_custom.py"
KINDS = ("sft", "preference", "unpaired", "prompts", "trajectories")
SMALL_SPANS = """
import runpy, sys
from rl_rollouts.engine import run
run.SMALLEST_SPAN = run.LARGEST_SPAN = int(sys.argv.pop(1))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""A script of which a few kilobytes of input are many spans."""


def inside(script: Path | str, folder: Path, arguments: str) -> Result:
    """Run a script as its command line would; what it raises is raised here."""
    if "--output" not in arguments:
        arguments += " --output out.jsonl"
    out, err, code = io.StringIO(), io.StringIO(), 0
    with _argv(script, arguments, folder), redirect_stdout(out), redirect_stderr(err):
        try:
            if isinstance(script, str):
                runpy.run_module(script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(script), run_name="__main__")
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return subprocess.CompletedProcess([str(script)], code, out.getvalue(), err.getvalue())


@contextmanager
def _argv(script: Path | str, arguments: str, folder: Path) -> Iterator[None]:
    before, where = sys.argv, Path.cwd()
    sys.argv = [str(script), *arguments.split()]
    os.chdir(folder)
    try:
        yield
    finally:
        sys.argv = before
        os.chdir(where)


def small_spans(size: int, script: Path, arguments: str) -> list[str]:
    """The command of a run over spans of so many bytes."""
    return [sys.executable, "-c", SMALL_SPANS, str(size), str(script), *arguments.split()]


def started(command: list[str], folder: Path, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def counted(folder: Path, done: Result, script: Path = FILTER) -> Json | None:
    """The manifest's counts, which add up; None where there was nothing to write."""
    if done.returncode:
        assert done.returncode == 1 and "is left to train on" in done.stderr, done.stderr
        return None
    found: Json = json.loads((folder / "out.manifest.json").read_text("utf-8"))["counts"]
    left = found["kept"] if script is FILTER else found["rollouts"]
    parts = [total(found[key]) for key in ("rejected", "set aside", "removed")]
    assert found["read"] == left + sum(parts)
    noted = folder / "rejected.jsonl"
    rejected = noted.read_bytes().splitlines() if noted.exists() else []
    assert len(rejected) == parts[0] + parts[1]
    return found


def outputs(folder: Path, *, ordered: bool = False) -> dict[str, list[bytes]]:
    """The rows of every output; sorted, unless their order matters."""
    found = {}
    for name in ("out.jsonl", "out.eval.jsonl", "out.prompts.jsonl"):
        if (folder / name).exists():
            rows = (folder / name).read_bytes().splitlines()
            found[name] = rows if ordered else sorted(rows)
    return found


def left_behind(folder: Path) -> list[str]:
    """Names of hidden files and folders."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
