"""What a killed `rl-scaffolder new` leaves, and what the next one makes of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Command
from scaffolder import render
from scaffolder.errors import CannotWrite
from scaffolder.staging import PREFIX, left_behind, staging
from test_new import TRL, git, tree

HOLD = """
import sys, time
from pathlib import Path
from scaffolder.staging import staging
with staging(Path(sys.argv[1])) as made:
    (made / "half").write_text("written")
    print(made, flush=True)
    time.sleep(60)
"""


def held(folder: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process in the middle of its work on a hidden folder, and that."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_dead_run_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    dead, left = held(tmp_path)
    dead.kill()
    dead.communicate()
    alive, used = held(tmp_path)
    try:
        assert not left.exists() and used.exists()
        with staging(tmp_path) as made:
            assert used.exists() and made.exists() and not list(left_behind(tmp_path))
        assert (used / "half").read_text() == "written"
    finally:
        alive.kill()
        alive.communicate()
    assert list(left_behind(tmp_path)) == [used]


def test_nothing_of_the_owner_is_taken_for_left_behind(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}notes").write_text("mine\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to("elsewhere")
    with staging(tmp_path):
        assert list(left_behind(tmp_path)) == []
    assert (tmp_path / f"{PREFIX}notes").exists() and (tmp_path / f"{PREFIX}link").is_symlink()


@pytest.mark.parametrize("there", [False, True], ids=["new", "an empty directory"])
def test_the_next_new_makes_the_project(scaffold: Command, tmp_path: Path, there: bool) -> None:
    """Killed while Copier renders: beside the target, or inside it."""
    target = tmp_path / "work" / "p"
    target.mkdir(parents=True) if there else target.parent.mkdir()
    command = [sys.executable, "-m", "scaffolder", "new", "p", *TRL]
    process = subprocess.Popen(command, cwd=target.parent, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "work").rglob(f"{PREFIX}*/*")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list((tmp_path / "work").rglob(f"{PREFIX}*"))
    done = scaffold("new", "p", *TRL, cwd=target.parent)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "work").rglob(f"{PREFIX}*"))
    assert [path.name for path in target.parent.iterdir()] == ["p"]
    assert git(target, "status", "--porcelain") == "" and "train_trl.py" in tree(target)


def test_a_target_that_holds_a_living_run_is_not_empty(scaffold: Command, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    alive, used = held(tmp_path / "p")
    try:
        done = scaffold("new", "p", *TRL)
        assert done.returncode == 2 and "not an empty directory" in done.stderr
        assert (used / "half").exists()
    finally:
        alive.kill()
        alive.communicate()


def test_a_temporary_folder_with_a_line_break_has_an_error(
    scaffold: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "a\nb"))
    (tmp_path / "a\nb").mkdir()
    assert scaffold("new", "p", *TRL).returncode == 0
    for words in (["new", "q", *TRL, "--dry-run"], ["update", "p", "--set", "epochs=2"]):
        done = scaffold(*words)
        assert done.returncode == 2 and "line break" in done.stderr
    with pytest.raises(CannotWrite):
        render.check_target(tmp_path / ("x" * 300))
