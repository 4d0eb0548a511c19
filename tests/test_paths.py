"""Answers and folders that are no usual paths: too long, of nobody, no UTF-8, not to be entered."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Command, run
from scaffolder import answers, frameworks, machine, rollouts
from scaffolder.errors import UserError
from scaffolder.frameworks import names
from test_new import TRL, git

LONG = {"a name": "m" * 256, "a path": "m/" * 2000 + "m", "too long": "m" * 5000}
NOBODY = 65534


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
@pytest.mark.parametrize("name", ["model", "rollouts", "project_name", "framework", "tracker"])
def test_a_long_answer_is_written_or_refused_with_its_name(
    scaffold: Command, tmp_path: Path, name: str, value: str
) -> None:
    given = {"framework": "trl", "algorithm": "sft", name: value}
    (tmp_path / "a.json").write_text(json.dumps(given))
    done = scaffold("new", "p", "--answers", "a.json", "--dry-run", "--json")
    assert "Traceback" not in done.stderr and len(done.stderr) < 1000 + len(value)
    assert done.returncode == 0 or (done.returncode == 2 and name in done.stderr)


@pytest.mark.parametrize("command", ["compare --rollouts", "inspect", "check", "update", "new"])
def test_a_path_of_256_letters_has_an_error(scaffold: Command, command: str) -> None:
    more = TRL if command == "new" else ()
    done = scaffold(*command.split(), "m" * 256, *more)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_homes_of_nobody_are_paths_that_are_not_there(scaffold: Command) -> None:
    for name in ("model", "rollouts"):
        done = scaffold("new", "p", *TRL, f"--{name}", "~nobody-there/x", "--dry-run", "--json")
        assert json.loads(done.stdout)["answers"][name] == "~nobody-there/x", done.stderr
    assert machine.found("~nobody-there/x") is None


def as_nobody(call: Callable[[], object]) -> str:
    """What a call returns or raises in a process that is not root, who may enter every folder."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            said = f"{call()}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.parametrize("framework", names())
def test_a_folder_that_may_not_be_entered(tmp_path: Path, framework: str) -> None:
    """Said of an answer that is given; a saved one is of another machine, and does not matter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    given = {"framework": framework, "algorithm": "sft"}

    def plan(given: dict[str, str], before: dict[str, str] | None = None) -> object:
        spec = answers.spec(tmp_path / "p", given, before)
        return frameworks.resolve(spec).plan(spec).world_size

    assert plan(given) == 1  # and all is imported
    for name in ("model", "rollouts"):
        path = {name: str(closed / "m-1b")}
        said = as_nobody(lambda path=path: plan(given | path))  # type: ignore[misc]
        assert said.startswith("InvalidAnswers") and f"{name} = " in said and "denied" in said
        assert as_nobody(lambda path=path: plan({}, {"project_name": "p", **given, **path})) == "1"  # type: ignore[misc]


def test_rollouts_in_such_a_folder_fit_nothing_or_are_an_error(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    assert rollouts.fitting(str(tmp_path / "none")) is None
    with pytest.raises(UserError):
        rollouts.fitting(str(tmp_path / "none"), typed=True)
    path = str(closed / "rollouts.jsonl")
    assert as_nobody(lambda: rollouts.fitting(path)) == "None"
    assert as_nobody(lambda: rollouts.fitting(path, typed=True)).startswith("UnreadableRollouts")


@pytest.mark.parametrize("place", ["above", "its own"])
def test_a_folder_whose_name_is_no_utf_8(tmp_path: Path, place: str) -> None:
    above = tmp_path / os.fsdecode(b"a\xff")
    above.mkdir()
    name = "p" if place == "above" else os.fsdecode(b"p\xff")
    command = [sys.executable, "-m", "scaffolder"]
    more = ("--set", "project_name=p", "--json")
    done = run([*command, "new", name, *TRL, *more], above)
    assert done.returncode == 0, done.stderr
    done = run([*command, "update", "--gpus-per-node", "2"], above / name)
    assert done.returncode == 0, done.stderr
    (line,) = re.findall("`(git [^`]*)` in the project", done.stdout)
    subprocess.run(["bash", "-ec", line], cwd=above / name, check=True)
    assert git(above / name, "status", "--porcelain") == ""
