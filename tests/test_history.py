"""The released templates that ship, and how a version joins them."""

import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, run
from scaffolder.git import start
from scaffolder.history import History
from scaffolder.render import render
from scaffolder.saved import edition_of
from scaffolder.templates import source
from test_new import git, tree
from test_update import Tool, checkout, commit


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    repository = tmp_path_factory.mktemp("history")
    start(repository, "--bare")
    return History(source(), repository)


RELEASED = sorted((ROOT / "tests" / "released").glob("*/*.yml"))
"""Answers of a project of each framework of each version, which `make release` keeps."""


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_release_becomes_what_stands_here(file: Path, tmp_path: Path) -> None:
    """A project of that version, without edits."""
    answers = yaml.safe_load(file.read_text("utf-8"))
    edition = edition_of(file, answers)
    assert edition.template == file.parent.name
    (tmp_path / "old").mkdir()
    project = render(answers, tmp_path / "old", edition).path
    assert (project / ".copier-answers.yml").read_bytes() == file.read_bytes()
    git(project, "init", "--quiet")
    commit(project)
    here = Tool(ROOT)
    done = here("update", "--json", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    fresh = here("new", "fresh", "--json", "--answers", str(file), cwd=tmp_path)
    assert fresh.returncode == 0, fresh.stderr
    assert tree(project) == tree(tmp_path / "fresh")


def test_each_release_has_answers_of_each_of_its_frameworks(history: History) -> None:
    found = {version: set[str]() for version in history.released}
    for file in RELEASED:
        answers = yaml.safe_load(file.read_text("utf-8"))
        found[file.parent.name].add(answers["framework"])
    assert found and all(found.values())


def test_a_release_is_the_same_bytes_again_and_cannot_be_changed(
    tmp_path: Path,
) -> None:
    older, again = checkout(tmp_path / "older"), checkout(tmp_path / "again")
    older.release("0.8.0")
    again.release("0.8.0")
    bundle = Path("scaffolder") / "templates.bundle"
    assert (again.folder / bundle).read_bytes() == (older.folder / bundle).read_bytes()
    (again.folder / "templates" / "{{base}}" / "NEWS.md").write_text("late\n")
    words = ["-m", "scaffolder.history", str(again.folder / "templates"), "0.8.0", str(bundle)]
    done = run([sys.executable, *words], again.folder)
    assert done.returncode == 2 and "released already, with other files" in done.stderr
    assert (again.folder / bundle).read_bytes() == (older.folder / bundle).read_bytes()
