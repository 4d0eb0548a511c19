"""A fresh clone becomes a project: nothing in it is overwritten, and one commit lies on top."""

import json
import subprocess
from pathlib import Path

import pytest

from conftest import Command
from test_new import TRL, git, tree

NAMES = ("README.md", "LICENSE", ".gitignore")


def clone(folder: Path, *names: str, commit: bool = True) -> Path:
    """What a host begins a repository with, as `git clone` leaves it."""
    folder.mkdir()
    git(folder, "init", "--initial-branch=trunk")
    git(folder, "config", "user.name", "Me")
    git(folder, "config", "user.email", "me@example.com")
    for name in names:
        (folder / name).write_text(f"mine: {name}\n*.jsonl\nvendor/\n")
    if commit and names:
        git(folder, "add", "--all")
        git(folder, "commit", "--message", "Initial commit")
    return folder


@pytest.mark.parametrize(
    "names",
    [NAMES, (), ("README.md", ".gitattributes"), ("readme.rst", "LICENCE.txt"), (".gitignore",)],
    ids=["all", "nothing", "hugging face", "other names", "one"],
)
def test_a_clone_keeps_what_it_has(scaffold: Command, tmp_path: Path, names: tuple[str]) -> None:
    theirs = tree(clone(tmp_path / "mine", *names))
    result = scaffold("new", ".", *TRL, "--json", cwd=tmp_path / "mine")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    files = tree(tmp_path / "mine")
    assert {name: files[name] for name in theirs} == theirs
    assert sorted(files) == sorted({*report["files"], *theirs})
    assert report["committed"] and report["left_alone"] == sorted(theirs)
    assert report["answers"]["project_name"] == "mine"
    assert git(tmp_path / "mine", "status", "--porcelain", "--ignored") == ""
    subjects = git(tmp_path / "mine", "log", "--format=%an: %s").splitlines()
    assert subjects[0].startswith("Me: New project from rl-scaffolder")
    assert subjects[1:] == (["Me: Initial commit"] if names else [])
    assert git(tmp_path / "mine", "branch", "--show-current") == "trunk\n"
    for name in set(names) & {"README.md", ".gitignore"}:
        stem = "README.rl-scaffolder.md" if name == "README.md" else f"{name}.rl-scaffolder"
        assert stem in files and name not in report["files"]


def test_it_says_what_was_left_alone(scaffold: Command, tmp_path: Path) -> None:
    clone(tmp_path / "mine", *NAMES)
    planned = json.loads(scaffold("new", "mine", *TRL, "--dry-run", "--json").stdout)["files"]
    assert "README.rl-scaffolder.md" in planned and "README.md" not in planned
    said = " ".join(scaffold("new", "mine", *TRL).stdout.split())
    assert "Left as they were: .gitignore, LICENSE, README.md." in said
    assert "What the project has for README.md is in README.rl-scaffolder.md" in said
    assert "`cat .gitignore.rl-scaffolder >> .gitignore`" in said


@pytest.mark.parametrize("other", ["train.py", "README.md/", "docs", ".github"])
def test_a_clone_with_work_in_it_is_refused(scaffold: Command, tmp_path: Path, other: str) -> None:
    folder = clone(tmp_path / "mine", "LICENSE")
    if other in {"train.py"}:
        (folder / other).write_text("")
    else:
        (folder / other).mkdir()
    before = sorted(folder.rglob("*"))
    result = scaffold("new", "mine", *TRL)
    assert result.returncode == 2 and "not an empty directory" in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_what_is_not_committed_yet_stays_so(scaffold: Command, tmp_path: Path) -> None:
    folder = clone(tmp_path / "mine", "LICENSE")
    (folder / "README.md").write_text("not added")
    (folder / "LICENSE").write_text("staged")
    git(folder, "add", "LICENSE")
    assert scaffold("new", "mine", *TRL).returncode == 0
    assert git(folder, "status", "--porcelain") == "M  LICENSE\n?? README.md\n"


def test_without_a_commit_nothing_is_staged(scaffold: Command, tmp_path: Path) -> None:
    folder = clone(tmp_path / "mine", "LICENSE")
    result = scaffold("new", "mine", *TRL, "--no-git", "--json")
    assert json.loads(result.stdout)["committed"] is False
    assert len(git(folder, "log", "--oneline").splitlines()) == 1
    assert git(folder, "diff", "--cached", "--name-only") == ""


def test_where_git_refuses_the_clone_is_as_it_was(scaffold: Command, tmp_path: Path) -> None:
    folder = clone(tmp_path / "mine", *NAMES)
    (folder / ".git" / "index.lock").write_text("")
    before = tree(folder)
    result = scaffold("new", "mine", *TRL)
    assert result.returncode == 2 and "index.lock" in result.stderr
    (folder / ".git" / "index.lock").unlink()
    assert tree(folder) == before and git(folder, "status", "--porcelain") == ""


def test_an_adopted_project_is_updated_beside_what_is_the_owner_s(
    scaffold: Command, tmp_path: Path
) -> None:
    folder = clone(tmp_path / "mine", *NAMES)
    assert scaffold("new", "mine", *TRL).returncode == 0
    theirs = (folder / "README.md").read_text()
    result = scaffold("update", "mine", "--set", "epochs=3", "--set", "seed=7")
    assert result.returncode == 0, result.stdout + result.stderr
    changed = git(folder, "diff", "--cached", "--name-only").split()
    assert changed == [".copier-answers.yml", "README.rl-scaffolder.md", "trl_config.yaml"]
    assert (folder / "README.md").read_text() == theirs
    assert subprocess.run(["git", "diff", "--quiet"], cwd=folder).returncode == 0
