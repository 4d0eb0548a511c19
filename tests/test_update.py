"""`rl-scaffolder update`: newer templates and other answers, and the owner's edits kept."""

import compileall
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

import warm
from conftest import ROOT, TOOL, Result, run
from scaffolder.frameworks import names
from test_new import git, tree

SFT = ("--algorithm", "sft", "--model", "org/m-1b")


@dataclass(frozen=True)
class Tool:
    """A checkout of the tool with templates of its own."""

    folder: Path

    def __call__(self, *words: str, cwd: Path, **variables: str) -> Result:
        environment = {**os.environ, **variables, "PYTHONPATH": str(self.folder)}
        return run([warm.python(*TOOL), "-m", "scaffolder", *words], cwd, env=environment)

    def new(self, folder: Path, framework: str, *words: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = self("new", "p", "--json", "--framework", framework, *SFT, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return folder / "p"

    def release(self, version: str) -> None:
        init = self.folder / "scaffolder" / "__init__.py"
        text = re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', init.read_text())
        init.write_text(text)
        bundle = self.folder / "scaffolder" / "templates.bundle"
        words = ["-m", "scaffolder.history", str(self.folder / "templates"), version, str(bundle)]
        done = run([sys.executable, *words], self.folder)
        assert done.returncode == 0, done.stderr


def checkout(folder: Path) -> Tool:
    """A copy of this one, without history."""
    ignored = shutil.ignore_patterns("__pycache__", "*.bundle")
    for name in ("scaffolder", "templates", "runtime"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("scaffolder", "runtime"):
        compileall.compile_dir(folder / name, quiet=1)
    return Tool(folder)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The tool with templates 0.8.0."""
    tool = checkout(tmp_path_factory.mktemp("older"))
    tool.release("0.8.0")
    return tool


@pytest.fixture(scope="module")
def newer(older: Tool, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Templates 0.9.0: a file is new, one is gone, one has another name, three have changed; and
    the library is another one."""
    tool = Tool(shutil.copytree(older.folder, tmp_path_factory.mktemp("newer") / "tool"))
    base = tool.folder / "templates" / "{{base}}"
    (base / "NEWS.md").write_text("What is new in 0.9.0\n")
    (base / "collect_rollouts.py").unlink()
    (base / "export.py").rename(base / "export_model.py")
    for name in ("evaluate.py", "rewards.py"):
        file = base / name
        file.write_text(file.read_text("utf-8").replace('"""', '"""Newer. ', 1), "utf-8")
    makefile = base / "Makefile.jinja"
    makefile.write_text(makefile.read_text("utf-8") + "\nnewer:\n\t@echo newer\n", "utf-8")
    (tool.folder / "runtime" / "rl_rollouts" / "newer.py").touch()
    tool.release("0.9.0")
    return tool


@pytest.fixture(scope="module")
def rendered(older: Tool, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A project of 0.8.0 by its framework, not to be changed."""
    folder = tmp_path_factory.mktemp("rendered")
    made: dict[str, Path] = {}

    def of(framework: str) -> Path:
        if framework not in made:
            made[framework] = older.new(folder / framework, framework)
        return made[framework]

    return of


@pytest.fixture
def project(rendered: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(rendered("trl"), tmp_path / "p")


def commit(project: Path, message: str = "edits") -> None:
    git(project, "add", "--all")
    git(project, "-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qm", message)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def becomes(done: Result) -> dict[str, str]:
    return {each["path"]: each["becomes"] for each in json.loads(done.stdout)["changes"]}


def state(project: Path) -> tuple[Any, ...]:
    """Files, index and commit."""
    index = git(project, "ls-files", "--stage", "-z")
    return tree(project), index, git(project, "rev-parse", "HEAD")


@pytest.mark.parametrize("framework", names())
def test_an_untouched_project_becomes_what_the_new_templates_render(
    framework: str, rendered: Callable[[str], Path], newer: Tool, tmp_path: Path
) -> None:
    project = shutil.copytree(rendered(framework), tmp_path / "p")
    done = newer("update", "--json", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(project) == tree(newer.new(tmp_path / "fresh", framework))
    said = json.loads(done.stdout)
    assert (said["before"], said["after"]) == ("0.8.0", "0.9.0")
    assert set(becomes(done).values()) == {"new", "updated", "removed"}
    assert git(project, "diff") == "" and len(git(project, "diff", "--cached")) > 100
    commit(project, "update")
    again = newer("update", cwd=project)
    assert again.returncode == 0 and "Nothing to change" in again.stdout


def test_edits_are_kept_and_come_along(project: Path, newer: Tool) -> None:
    with (project / "evaluate.py").open("a") as file:
        file.write("# my note\n")
    edit(project / "export.py", "\n\nif", "\n\n# mine\nif")
    edit(project / "trl_config.yaml", "learning_rate: ", "learning_rate: 3.0e-5 # was ")
    (project / "mine.py").write_text("x = 1\n")
    (project / ".env.example").unlink()
    commit(project)
    (project / "outputs").mkdir()
    (project / "outputs" / "model.bin").write_bytes(b"\0" * 1000)
    done = newer("update", "--json", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = becomes(done)
    assert kinds["evaluate.py"] == "merged" and kinds["rewards.py"] == "updated"
    evaluate = (project / "evaluate.py").read_text("utf-8")
    assert evaluate.startswith('"""Newer.') and evaluate.endswith("# my note\n")
    assert "# mine\n" in (project / "export_model.py").read_text("utf-8")
    assert not (project / "export.py").exists()
    assert "3.0e-5" in (project / "trl_config.yaml").read_text("utf-8")
    assert (project / "mine.py").is_file() and not (project / ".env.example").exists()
    assert (project / "outputs" / "model.bin").stat().st_size == 1000
    assert {"trl_config.yaml", "mine.py", ".env.example"}.isdisjoint(kinds)


@pytest.fixture
def conflicting(project: Path) -> Path:
    """One file changed in the same line as in 0.9.0, one that is gone there."""
    edit(project / "rewards.py", '"""', '"""Mine. ')
    with (project / "collect_rollouts.py").open("a") as file:
        file.write("# mine\n")
    commit(project)
    return project


def test_what_does_not_go_together_is_left_to_the_owner(conflicting: Path, newer: Tool) -> None:
    before = state(conflicting)
    done = newer("update", cwd=conflicting)
    assert done.returncode == 3, done.stderr
    assert "2 file(s) need you" in done.stdout
    text = (conflicting / "rewards.py").read_text("utf-8")
    assert '<<<<<<< HEAD\n"""Mine. ' in text and text.count('"""Newer. ') == 1
    assert ">>>>>>> rl-scaffolder-0.9.0" in text
    assert "# mine" in (conflicting / "collect_rollouts.py").read_text("utf-8")
    status = git(conflicting, "status", "--porcelain").splitlines()
    assert {"UU rewards.py", "UD collect_rollouts.py", "A  NEWS.md"} <= set(status)
    assert yaml.safe_load((conflicting / ".copier-answers.yml").read_text())["_commit"] == "v0.9.0"
    refused = newer("update", cwd=conflicting)
    assert refused.returncode == 2 and "a merge is not finished" in refused.stderr
    (back,) = re.findall("take it back: `git (.*)`", done.stdout)
    git(conflicting, *back.split())
    assert state(conflicting) == before


def test_a_dry_run_says_the_same_and_changes_nothing(conflicting: Path, newer: Tool) -> None:
    before = state(conflicting)
    objects = set((conflicting / ".git").rglob("*"))
    planned = newer("update", "--dry-run", "--json", cwd=conflicting)
    assert planned.returncode == 0, planned.stderr
    shown = newer("update", "--dry-run", "--diff", cwd=conflicting)
    assert "+What is new in 0.9.0" in shown.stdout and "Nothing was changed" in shown.stdout
    assert state(conflicting) == before and set((conflicting / ".git").rglob("*")) == objects
    done = newer("update", "--json", cwd=conflicting)
    assert planned.stdout == done.stdout


def uncommitted(project: Path) -> None:
    edit(project / "rewards.py", '"""', '"""Mine. ')


def no_repository(project: Path) -> None:
    shutil.rmtree(project / ".git")


def no_commit(project: Path) -> None:
    shutil.rmtree(project / ".git")
    git(project, "init", "--quiet")


def in_the_way(project: Path) -> None:
    (project / "NEWS.md").write_text("my own, which git does not know\n")


def locked(project: Path) -> None:
    (project / ".git" / "index.lock").touch()


def no_project(project: Path) -> None:
    (project / ".copier-answers.yml").unlink()


def answers_of_another_tool(project: Path) -> None:
    (project / ".copier-answers.yml").write_text("framework: trl\nalgorithm: sft\n")
    commit(project)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (uncommitted, "1 file(s) have changes that are not committed"),
        (no_repository, "`git init`"),
        (no_commit, "not committed to git"),
        (in_the_way, "NEWS.md"),
        (locked, "Nothing was written"),
        (no_project, "has no .copier-answers.yml"),
        (answers_of_another_tool, "does not say which templates"),
    ],
)
def test_what_could_not_be_taken_back_is_refused(
    project: Path, newer: Tool, change: Callable[[Path], None], said: str
) -> None:
    change(project)
    before = tree(project)
    done = newer("update", cwd=project)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and tree(project) == before


def test_in_a_folder_of_a_larger_repository_the_rest_is_left_alone(
    rendered: Callable[[str], Path], newer: Tool, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    project = shutil.copytree(rendered("trl"), whole / "a b" / "p")
    shutil.rmtree(project / ".git")
    (whole / "other.txt").write_text("one\n")
    (whole / "staged.txt").write_text("one\n")
    git(whole, "init", "--quiet")
    commit(whole)
    edit(project / "rewards.py", '"""', '"""Mine. ')
    commit(whole)
    (whole / "other.txt").write_text("two\n")
    (whole / "staged.txt").write_text("two\n")
    git(whole, "add", "staged.txt")
    assert newer("update", "a b/p", cwd=whole).returncode == 3
    status = git(whole, "status", "--porcelain").splitlines()
    outside = [line for line in status if "a b/p" not in line]
    assert outside == [" M other.txt", "M  staged.txt"]
    assert {'UU "a b/p/rewards.py"', 'A  "a b/p/NEWS.md"'} <= set(status)
    assert (whole / "other.txt").read_text() == "two\n"


@pytest.mark.parametrize(("one", "other"), combinations(names(), 2))
def test_another_framework_and_back(
    one: str, other: str, rendered: Callable[[str], Path], older: Tool, tmp_path: Path
) -> None:
    project = shutil.copytree(rendered(one), tmp_path / "p")
    original = tree(project)
    edit(project / "rewards.py", '"""', '"""Mine. ')
    commit(project)
    done = older("update", "--framework", other, "--json", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    fresh = tree(rendered(other))
    assert tree(project).keys() == fresh.keys()
    assert {name for name, text in tree(project).items() if text != fresh[name]} == {"rewards.py"}
    commit(project, "switch")
    assert older("update", "--framework", one, cwd=project).returncode == 0
    assert {name for name, text in tree(project).items() if text != original.get(name)} == {
        "rewards.py"
    }


def test_edits_of_a_config_go_along_to_the_other_framework(project: Path, older: Tool) -> None:
    edit(project / "trl_config.yaml", "learning_rate: ", "learning_rate: 3.0e-5 # was ")
    edit(project / "trl_config.yaml", "max_length: 4096", "max_length: 2048")
    edit(project / "train_trl.py", '"""', '"""Mine. ')
    commit(project)
    before = state(project)
    done = older("update", "--framework", "custom", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    changes = becomes(done)
    assert (changes["trl_config.yaml"], changes["train_trl.py"]) == ("left", "left")
    assert not list(project.glob("*trl*")), "nothing of it is left half alive"
    config = yaml.safe_load((project / "custom_config.yaml").read_text("utf-8"))
    assert (config["learning_rate"], config["max_length"]) == (3e-5, 2048)
    taken = {each["key"]: each["to"] for each in json.loads(done.stdout)["carried"]}
    assert taken == {"learning_rate": "learning_rate", "max_length": "max_length"}
    line = older("update", cwd=project).stderr.split("(`")[1].split("` in")[0]
    subprocess.run(line, shell=True, cwd=project, check=True)
    assert state(project) == before


def test_a_conflict_without_marks_is_not_said_to_have_some(project: Path, newer: Tool) -> None:
    """The newer templates have no such file, and the owner had changed it."""
    edit(project / "collect_rollouts.py", '"""', '"""Mine. ')
    commit(project)
    done = newer("update", cwd=project)
    assert done.returncode == 3
    assert "marked places" not in done.stdout
    assert "No place is marked in collect_rollouts.py" in done.stdout


def test_other_choices_are_planned_again(project: Path, older: Tool) -> None:
    done = older("update", "--gpus-per-node", "8", "--set", "sequence_length=8192", cwd=project)
    assert done.returncode == 0, done.stderr
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert (answers["gpus_per_node"], answers["plan"]["world_size"]) == (8, 8)
    config = yaml.safe_load((project / "trl_config.yaml").read_text("utf-8"))
    assert config["max_length"] == 8192
    commit(project)
    refused = older("update", "--algorithm", "ppo", cwd=project)
    assert refused.returncode == 2 and "algorithm can be" in refused.stderr


def test_an_older_tool_says_so(rendered: Callable[[str], Path], older: Tool, newer: Tool,
    tmp_path: Path) -> None:  # fmt: skip
    project = newer.new(tmp_path, "trl")
    before = state(project)
    done = older("update", cwd=project)
    assert done.returncode == 2 and "Install a newer rl-scaffolder" in done.stderr
    assert state(project) == before


def test_a_project_of_an_unreleased_version(older: Tool, newer: Tool, tmp_path: Path) -> None:
    """Its templates are known as long as they stand there."""
    tool = Tool(shutil.copytree(older.folder, tmp_path / "tool"))
    news = tool.folder / "templates" / "{{base}}" / "NEWS.md"
    news.write_text("in the making\n")
    project = tool.new(tmp_path / "work", "trl")
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert answers["_commit"].startswith("v0.8.0.post1.dev0+t")
    assert tool("update", "--tuning", "lora", "--dry-run", cwd=project).returncode == 0
    news.write_text("in the making, again\n")
    for other in (tool, newer):
        done = other("update", cwd=project)
        assert done.returncode == 2 and "a development version" in done.stderr
        assert "rl-scaffolder new DIR --answers" in done.stderr


def test_no_git_setting_of_the_owner_is_in_the_way(conflicting: Path, newer: Tool) -> None:
    hooks = conflicting.parent / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-merge", "pre-commit", "post-index-change"):
        (hooks / name).write_text("#!/bin/sh\ntouch ../ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    config = conflicting.parent / "gitconfig"
    config.write_text(
        f"[core]\n hooksPath = {hooks}\n[merge]\n conflictStyle = diff3\n renames = false\n"
        "[commit]\n gpgsign = true\n[protocol]\n allow = never\n[diff]\n noprefix = true\n"
        "[color]\n ui = always\n[core]\n safecrlf = true\n"
    )
    variables = {"GIT_CONFIG_GLOBAL": str(config), "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "x"}
    done = newer("update", "--json", cwd=conflicting, **variables)
    assert done.returncode == 3, done.stderr
    assert (conflicting / "NEWS.md").is_file()
    assert "|||||||" not in (conflicting / "rewards.py").read_text("utf-8")


@pytest.mark.long
def test_interrupted_it_has_done_all_or_nothing(project: Path, newer: Tool) -> None:
    before = state(project)
    random_ = random.Random(0)
    whole = newer("update", cwd=project)
    assert whole.returncode == 0
    after = state(project)
    git(project, "restore", "--source=HEAD", "--staged", "--worktree", ".")
    command = [sys.executable, "-m", "scaffolder", "update"]
    temporary = project.parent / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(newer.folder), "TMPDIR": str(temporary)}
    seconds, done = 4.0, 0
    for _ in range(8):
        process = subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        time.sleep(random_.uniform(0.2, seconds))
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C on a terminal does
        told = process.communicate()[1]
        assert "scaffolder/update.py" not in told, told
        assert state(project) in (before, after)
        done += state(project) == after
        git(project, "restore", "--source=HEAD", "--staged", "--worktree", ".")
    assert done < 8
    assert not list(temporary.glob("*"))


def wheels(project: Path) -> list[str]:
    return sorted(str(each.relative_to(project)) for each in project.glob("vendor/*"))


def another_library(tool: Tool, folder: Path) -> Tool:
    """The same templates with another library."""
    other = Tool(shutil.copytree(tool.folder, folder / "tool"))
    (other.folder / "runtime" / "rl_rollouts" / "other.py").write_text("x = 1\n")
    return other


def deleted(project: Path) -> None:
    (project / wheels(project)[0]).unlink()


def replaced(project: Path) -> None:
    (project / wheels(project)[0]).write_bytes(b"my own")


def one_more(project: Path) -> None:
    (project / "vendor" / "rl_rollouts-0.0.1-py3-none-any.whl").write_bytes(b"an old one")


def as_it_was(project: Path) -> None:
    (project / "mine.txt").touch()


@pytest.mark.parametrize("change", [as_it_was, deleted, replaced, one_more])
def test_the_library_is_replaced_whatever_became_of_it(
    project: Path, older: Tool, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    other = another_library(older, tmp_path)
    (newest,) = wheels(other.new(tmp_path / "fresh", "trl"))
    change(project)
    (project / "vendor" / "notes.txt").write_text("mine\n")
    commit(project)
    before, had = state(project), wheels(project)
    planned = other("update", "--dry-run", "--json", cwd=project)
    assert state(project) == before
    done = other("update", "--json", cwd=project)
    assert (done.returncode, done.stdout) == (0, planned.stdout), done.stderr
    assert wheels(project) == ["vendor/notes.txt", newest]
    fresh = tmp_path / "fresh" / "p"
    assert (project / newest).read_bytes() == (fresh / newest).read_bytes()
    old = [each for each in had if each.endswith(".whl")]
    assert becomes(done) == {newest: "new", **dict.fromkeys(old, "removed")}
    said = json.loads(done.stdout)["library"]
    assert said["before"] == [each.split("-")[1] for each in old] and not said["own"]
    staged = git(project, "diff", "--cached", "--name-only", "--no-renames").split()
    assert sorted(staged) == sorted([newest, *old]) and git(project, "diff") == ""
    commit(project, "update")
    assert "Nothing to change" in other("update", cwd=project).stdout


def test_one_that_is_the_newest_by_name_only_is_replaced_too(project: Path, older: Tool) -> None:
    whole = (project / wheels(project)[0]).read_bytes()
    replaced(project)
    commit(project)
    done = older("update", "--json", cwd=project)
    assert done.returncode == 0 and becomes(done) == {wheels(project)[0]: "updated"}
    assert (project / wheels(project)[0]).read_bytes() == whole


def test_an_unpacked_library_is_left_alone(project: Path, older: Tool, tmp_path: Path) -> None:
    assert run(["make", f"PYTHON={sys.executable}", "own"], project).returncode == 0
    edit(project / "rl_rollouts" / "values.py", '"""', '"""Mine. ')
    commit(project)
    own = tree(project / "rl_rollouts")
    done = another_library(older, tmp_path)("update", cwd=project)
    assert done.returncode == 0 and tree(project / "rl_rollouts") == own
    assert "rl_rollouts/ is your own of it" in done.stdout and "make install" in done.stdout


def test_a_wheel_that_git_does_not_know_is_not_overwritten(
    project: Path, older: Tool, tmp_path: Path
) -> None:
    other = another_library(older, tmp_path)
    (newest,) = wheels(other.new(tmp_path / "fresh", "trl"))
    (project / newest).write_bytes(b"mine")
    done = other("update", cwd=project)
    assert done.returncode == 2 and newest in done.stderr
    assert (project / newest).read_bytes() == b"mine"
