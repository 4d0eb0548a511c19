"""What an update must not touch, and the way back from each state that it leaves a project in."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Command, Result
from projects import render
from scaffolder import answers, frameworks, saved, taking_back, taking_over
from scaffolder import update as updates
from scaffolder.errors import NotCommitted
from test_new import git, tree
from test_update import becomes, commit, edit, state

MORE_GPUS = ("--gpus-per-node", "8")
"""Changes trl_config.yaml and launch/local.sh."""
OTHER = ("--framework", "custom")
"""Removes those of TRL, and brings others."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("--framework", "trl", "--algorithm", "sft", "--model", "org/m-1b")
    return render(tmp_path_factory.mktemp("rendered"), *words)


@pytest.fixture
def project(rendered: Path, tmp_path: Path) -> Path:
    project = shutil.copytree(rendered, tmp_path / "p")
    (project / "mine.py").write_text("x = 1\n")
    commit(project)
    return project


def take_back(done: Result, project: Path) -> None:
    """Run the line that was printed, as a person does."""
    (line,) = re.findall("`(git [^`]*)` in the project", done.stdout + done.stderr)
    subprocess.run(["bash", "-ec", line], cwd=project, check=True, capture_output=True)


# What is not in git


def by_the_project(project: Path, pattern: str) -> None:
    with (project / ".gitignore").open("a") as file:
        file.write(f"{pattern}\n")


def by_the_repository(project: Path, pattern: str) -> None:
    (project / ".git" / "info").mkdir(exist_ok=True)
    (project / ".git" / "info" / "exclude").write_text(f"{pattern}\n")


def by_the_owner(project: Path, pattern: str) -> None:
    (project.parent / "ignored").write_text(f"{pattern}\n")
    git(project, "config", "core.excludesFile", str(project.parent / "ignored"))


def by_nobody(project: Path, pattern: str) -> None:
    pass


def out_of_git(project: Path, *names: str) -> None:
    """The owner takes what the templates made out of git, and edits it."""
    git(project, "rm", "-rq", "--cached", *names)
    commit_staged(project)
    for name in names:
        path = project / name
        edit(path / "local.sh" if path.is_dir() else path, "\n", "\n# of this machine\n")


def commit_staged(project: Path) -> None:
    git(project, "add", "--update")
    git(project, "-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qm", "edits")


@pytest.mark.parametrize("ignore", [by_the_project, by_the_repository, by_the_owner, by_nobody])
def test_what_the_owner_took_out_of_git_stays_as_it_is(
    project: Path, scaffold: Command, ignore: Callable[[Path, str], None]
) -> None:
    ignore(project, "trl_config.yaml\nlaunch")
    out_of_git(project, "trl_config.yaml", "launch")
    before = state(project)
    done = scaffold("update", *MORE_GPUS, cwd=project)
    assert done.returncode == 3, done.stderr
    assert "left as they are" in done.stdout
    for name in ("trl_config.yaml", "launch/local.sh"):
        assert tree(project)[name] == before[0][name]
        assert git(project, "show", f":3:{name}") != git(project, "show", f":1:{name}")
    take_back(done, project)
    assert state(project) == before


def test_for_scripts_it_is_a_conflict_of_a_file_that_is_not_in_git(
    project: Path, scaffold: Command
) -> None:
    out_of_git(project, "trl_config.yaml")
    done = scaffold("update", *MORE_GPUS, "--dry-run", "--json", cwd=project)
    changes = {each["path"]: each for each in json.loads(done.stdout)["changes"]}
    kept = changes.pop("trl_config.yaml")
    assert (kept["becomes"], kept["in_git"]) == ("conflict", False)
    assert changes and not any("in_git" in each for each in changes.values())


@pytest.mark.parametrize("ignore", [by_the_project, by_the_owner])
def test_it_stays_when_the_new_templates_have_it_no_more(
    project: Path, scaffold: Command, ignore: Callable[[Path, str], None]
) -> None:
    ignore(project, "trl_*\nlaunch")
    out_of_git(project, "trl_config.yaml", "trl_data.py", "launch")
    before = tree(project)
    done = scaffold("update", *OTHER, cwd=project)
    assert done.returncode in {0, 3}, done.stderr
    for name in ("trl_config.yaml", "trl_data.py", "launch/local.sh"):
        assert tree(project)[name] == before[name]


def test_what_is_ignored_is_not_overwritten_by_a_new_file(project: Path, scaffold: Command) -> None:
    """A file, and a folder, of the names of files that come; a file instead of their folder."""
    (project / "custom_config.yaml").write_text("mine: 1\n")
    (project / "train_custom.py").mkdir()
    (project / "train_custom.py" / "notes.txt").write_text("mine\n")
    git(project, "rm", "-rq", "launch")
    (project / "launch").write_text("mine\n")
    by_the_owner(project, "custom_config.yaml\ntrain_custom.py/*\nlaunch")
    commit_staged(project)
    before = state(project)
    done = scaffold("update", *OTHER, *MORE_GPUS, "--json", cwd=project)
    assert done.returncode == 3, done.stderr
    kinds = becomes(done)
    mine = ("custom_config.yaml", "train_custom.py", "launch/local.sh")
    assert [kinds[name] for name in mine] == ["conflict"] * 3
    for name in ("custom_config.yaml", "train_custom.py/notes.txt", "launch"):
        assert tree(project)[name] == before[0][name]
    again = scaffold("update", cwd=project)
    assert again.returncode == 2 and "a merge is not finished" in again.stderr
    take_back(again, project)
    assert state(project) == before


def test_what_is_not_ignored_is_refused_before_anything_is_changed(
    project: Path, scaffold: Command
) -> None:
    (project / "train_custom.py").mkdir()
    (project / "train_custom.py" / "notes.txt").write_text("mine\n")
    before = state(project)
    for more in (["--dry-run"], []):
        done = scaffold("update", *OTHER, *more, cwd=project)
        assert done.returncode == 2 and "train_custom.py" in done.stderr
        assert "back" not in done.stderr and state(project) == before


@pytest.mark.parametrize("mark", ["--skip-worktree", "--assume-unchanged"])
def test_edits_that_git_overlooks_are_not_lost(project: Path, scaffold: Command, mark: str) -> None:
    git(project, "update-index", mark, "trl_config.yaml")
    edit(project / "trl_config.yaml", "\n", "\n# mine\n")
    before = state(project)
    done = scaffold("update", *MORE_GPUS, cwd=project)
    assert done.returncode == 2 and "overlook changes of trl_config.yaml" in done.stderr
    assert state(project) == before


# The way back


def edited(project: Path) -> None:
    edit(
        project / "trl_config.yaml",
        "gradient_accumulation_steps: ",
        "gradient_accumulation_steps: 1",
    )


def removed(project: Path) -> None:
    (project / "trl_config.yaml").unlink()


def renamed(project: Path) -> None:
    (project / "conf").mkdir()
    (project / "trl_config.yaml").rename(project / "conf" / "my [config].yaml")


def now_a_folder(project: Path) -> None:
    removed(project)
    (project / "trl_config.yaml").mkdir()
    (project / "trl_config.yaml" / "part.yaml").write_text("a: 1\n")


def now_a_link(project: Path) -> None:
    (project / "trl_config.yaml").rename(project / "elsewhere.yaml")
    (project / "trl_config.yaml").symlink_to("elsewhere.yaml")


def folder_now_a_link(project: Path) -> None:
    (project / "launch").rename(project / "scripts")
    (project / "launch").symlink_to("scripts")


def untouched(project: Path) -> None:
    (project / "another.py").touch()


CHANGES = (untouched, edited, removed, renamed, now_a_folder, now_a_link, folder_now_a_link)
STATES = [(MORE_GPUS, change) for change in CHANGES] + [(OTHER, edited), (OTHER, renamed)]


@pytest.mark.parametrize(("words", "change"), STATES)
def test_the_printed_line_takes_back_the_update_and_nothing_else(
    project: Path, scaffold: Command, words: tuple[str, ...], change: Callable[[Path], None]
) -> None:
    change(project)
    commit(project, "mine")
    before = state(project)
    done = scaffold("update", *words, cwd=project)
    assert done.returncode in {0, 3}, done.stderr
    assert (done.returncode == 3) == bool(git(project, "ls-files", "--unmerged"))
    (project / "mine.py").write_text("x = 2\n")
    (project / "later.txt").write_text("mine\n")
    (project / "outputs").mkdir()
    (project / "outputs" / "model.bin").write_text("mine\n")
    take_back(done, project)
    now = state(project)
    assert now[1:] == before[1:]
    later = {"mine.py": b"x = 2\n", "later.txt": b"mine\n", "outputs/model.bin": b"mine\n"}
    assert now[0] == before[0] | later


def test_in_a_folder_of_a_larger_repository(project: Path, scaffold: Command) -> None:
    whole = project.parent / "whole"
    moved = whole / "a 'b" / "p"
    shutil.move(project, moved)
    shutil.rmtree(moved / ".git")
    (whole / "other.txt").write_text("one\n")
    git(whole, "init", "--quiet")
    removed(moved)
    commit(whole)
    before = state(whole)
    (whole / "other.txt").write_text("two\n")
    git(whole, "add", "other.txt")
    staged = git(whole, "ls-files", "--stage", "-z")
    done = scaffold("update", *MORE_GPUS, cwd=moved)
    assert done.returncode == 3, done.stderr
    take_back(done, moved)
    assert git(whole, "ls-files", "--stage", "-z") == staged
    assert tree(whole) == before[0] | {"other.txt": b"two\n"}


# What goes wrong on the way


def refusing(project: Path, *names: str) -> None:
    """Have git refuse to write these files."""
    git(project, "config", "filter.full.smudge", "false")
    git(project, "config", "filter.full.required", "true")
    (project / ".git" / "info").mkdir(exist_ok=True)
    lines = "".join(f"{name} filter=full\n" for name in names)
    (project / ".git" / "info" / "attributes").write_text(lines)


def test_what_stops_halfway_is_undone(project: Path, scaffold: Command) -> None:
    refusing(project, "train_custom.py")
    before = state(project)
    done = scaffold("update", *OTHER, cwd=project)
    assert done.returncode == 2 and "train_custom.py" in done.stderr
    assert "Nothing was written" in done.stderr and "back" not in done.stderr
    assert state(project) == before and git(project, "status", "--porcelain") == ""


def test_what_cannot_be_undone_either_can_be_taken_back_later(
    project: Path, scaffold: Command
) -> None:
    refusing(project, "README.md", "trl_config.yaml")
    before = state(project)
    done = scaffold("update", *OTHER, cwd=project)
    assert done.returncode == 2 and "Some files have changed" in done.stderr
    git(project, "config", "filter.full.smudge", "cat")
    take_back(done, project)
    assert state(project) == before


def planned(project: Path, **given: str) -> updates.Update:
    """The update in this process."""
    before = saved.read(project)
    spec = answers.spec(project, dict(given), before.spec.model_dump())
    return updates.update(before, spec, frameworks.resolve(spec).plan(spec))


def test_an_edit_made_meanwhile_is_neither_lost_nor_offered_to_be(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*arguments: object) -> str:
        edit(project / "rewards.py", "\n", "\n# meanwhile\n")
        return taking_over.take_over(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(updates, "take_over", meanwhile)
    before = tree(project)
    with pytest.raises(NotCommitted) as refused:
        planned(project, gpus_per_node="8")
    assert "back" not in str(refused.value)
    assert "# meanwhile" in (project / "rewards.py").read_text("utf-8")
    assert {name for name, text in tree(project).items() if text != before[name]} == {"rewards.py"}


@pytest.mark.parametrize("step", ["record", "_write", "_refresh"])
def test_killed_at_any_step_no_conflict_looks_solved(
    project: Path, scaffold: Command, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(project)
    commit(project, "mine")
    before = state(project)
    child = os.fork()
    if not child:
        where = taking_back if step == "record" else taking_over
        monkeypatch.setattr(where, step, lambda *_: os._exit(9))
        planned(project, gpus_per_node="8")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    again = scaffold("update", *MORE_GPUS, cwd=project)
    if step == "record":
        assert again.returncode == 3, again.stderr
    else:
        assert git(project, "ls-files", "--unmerged") and "not finished" in again.stderr
    take_back(again, project)
    assert state(project) == before


def test_a_line_is_offered_again_only_while_nothing_was_done(
    project: Path, scaffold: Command
) -> None:
    done = scaffold("update", *MORE_GPUS, cwd=project)
    assert "last update" in scaffold("update", cwd=project).stderr
    commit(project, "update")
    edit(project / "README.md", "\n", "\nmine\n")
    assert "last update" not in scaffold("update", cwd=project).stderr
    git(project, "reset", "--quiet", "--hard", "HEAD~1")
    take_back(done, project)
    edit(project / "README.md", "\n", "\nmine\n")
    assert "last update" not in scaffold("update", cwd=project).stderr
