"""`rl-scaffolder new` says what is wrong: all of it at once, and where git or rollouts are not."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from conftest import Command, Result, run
from test_new import TRL, git

KINDS = {
    "project_name": ("my project!", "project_name = 'my project!': must be letters"),
    "learnin_rate": ("1", "learnin_rate: no such answer; did you mean learning_rate?"),
    "group_size": ("4", "group_size: no such answer; did you mean num_generations?"),
    "epochs": ("many", "epochs = 'many': input should be a valid number"),
}
"""What --set may be given, and what is said of it."""


def test_errors_of_all_kinds_come_at_once(scaffold: Command, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine").write_text("mine")
    words = [word for name, (value, _) in KINDS.items() for word in ("--set", f"{name}={value}")]
    numbers = ("--gpus-per-node", "3", "--set", "global_batch_size=32", "--set", "oops")
    choice = ("--framework", "custom", "--algorithm", "sft", "--topology", "slurm")
    result = scaffold("new", "p", *choice, *words, *numbers, "--json")
    assert result.returncode == 2
    error = json.loads(result.stdout)["error"]
    said = "\n".join(error["reasons"])
    for expected in (
        *(expected for _, expected in KINDS.values()),
        "--set 'oops': must be key=value",
        "is not an empty directory",
        "with topology slurm: topology can be: local",
        "a global batch of 32 does not divide over 3",
    ):
        assert expected in said, expected
    assert "The nearest that is: --framework custom" in error["remedy"]
    assert error["remedy"].endswith("Nothing was written.")
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--framework", "tlr", "--algorithm", "sft", "--nodes", "x"),
            ("nodes = 'x'", "did you mean trl"),
        ),
        (
            ("--framework", "tlr", "--algorithm", "xx"),
            ("algorithm = 'xx'", "did you mean trl"),
        ),
        (("--framework", "trl", "--set", "epochs=x"), ("epochs = 'x'", "algorithm: is missing")),
        (
            ("--framework", "trl", "--algorithm", "ppo", "--gpus-per-node", "0"),
            ("gpus_per_node = '0'", "no longer has a PPO trainer"),
        ),
        (
            (*TRL, "--set", "seed=-1", "--set", "kl_coefficient=0.1"),
            ("seed = '-1'", "sft of trl has no KL term"),
        ),
    ],
    ids=[
        "framework and number",
        "framework and word",
        "missing and number",
        "algorithm and number",
        "number and plan",
    ],
)
def test_two_kinds_come_together(
    scaffold: Command, words: tuple[str, ...], expected: tuple[str, str]
) -> None:
    result = scaffold("new", "p", *words)
    assert result.returncode == 2
    assert all(each in result.stderr for each in expected), result.stderr


def rollouts_of(kind: str, folder: Path) -> Path:
    path = folder / "given"
    if kind == "empty folder":
        path.mkdir()
    elif kind != "not there":
        texts = {"csv": "prompt,reward\nhello,1\n", "empty file": "", "binary": "\0\1\2\xff\n"}
        path.write_text(texts[kind], "latin-1")
    return path


@pytest.mark.parametrize("kind", ["not there", "empty folder", "empty file", "csv", "binary"])
def test_rollouts_that_are_none_are_said_to_be_none(
    scaffold: Command, tmp_path: Path, kind: str
) -> None:
    path = rollouts_of(kind, tmp_path)
    result = scaffold("new", "p", *TRL, "--rollouts", str(path))
    assert result.returncode == 0, "they may come later"
    assert "warning: " in result.stderr and str(path) in result.stderr
    assert "(none there yet)" in " ".join(result.stdout.split())


def without(tmp_path: Path, **environment: str | None) -> Result:
    """`new` where variables are others; None: not there."""
    command = [sys.executable, "-m", "scaffolder", "new", "p", *TRL]
    changed = {**os.environ, **environment}
    kept = {name: value for name, value in changed.items() if value is not None}
    return run(command, tmp_path, env=kept)


def test_without_a_path_it_takes_the_usual_one(tmp_path: Path) -> None:
    result = without(tmp_path, PATH=None)
    assert result.returncode == 0, result.stderr


BROKEN = {
    "is none": None,
    "fails": "#!/bin/sh\nexit 1\n",
    "does nothing": "#!/bin/sh\nexit 0\n",
    "is another program": "#!/bin/sh\necho git version 2.0\n",
    "is for another machine": "\x7fELF",
}


@pytest.mark.parametrize("program", BROKEN.values(), ids=BROKEN)
def test_a_git_that_does_not_work_is_an_error_and_no_traceback(
    tmp_path: Path, program: str | None
) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    if program is not None:
        (place / "git").write_text(program)
        (place / "git").chmod((place / "git").stat().st_mode | stat.S_IXUSR)
    result = without(tmp_path, PATH=str(place))
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and "git" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_inside_another_repository_it_says_that_nothing_is_committed(
    scaffold: Command, tmp_path: Path
) -> None:
    git(tmp_path, "init")
    result = scaffold("new", "a b", "--set", "project_name=p", *TRL)
    said = " ".join(result.stdout.split())
    assert f"in the git repository {tmp_path}, so no commit was made" in said
    assert f"git add '{tmp_path}/a b'" in said
    report = scaffold("new", "q", *TRL, "--json")
    assert json.loads(report.stdout)["committed"] is False
    alone = scaffold("new", "r", *TRL, "--json", "--no-git")
    assert json.loads(alone.stdout)["committed"] is False
