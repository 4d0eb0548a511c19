"""A project of 0.1.0, when data preparation was the project's own: its edits are kept, and it is
said what the library has now."""

import json
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from scaffolder.render import render
from scaffolder.saved import edition_of
from test_new import git, tree
from test_update import Tool, becomes, commit, edit

HERE = Tool(ROOT)
ANSWERS = ROOT / "tests" / "released" / "0.1.0" / "trl-sft.yml"
OWN = "from dataprep.read import lines\nimport ready_rewards as ready, chat_masks\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    answers = yaml.safe_load(ANSWERS.read_text("utf-8"))
    project = render(answers, tmp_path, edition_of(ANSWERS, answers)).path
    git(project, "init", "--quiet")
    commit(project, "new")
    return project


@pytest.fixture
def edited(project: Path) -> Path:
    edit(project / "rewards.py", "\ndef score(", "\nBONUS = 0.25\n\n\ndef score(")
    edit(project / "prepare_for_trl.py", "Filtered rollouts", "My filtered rollouts")
    edit(project / "dataprep" / "read.py", '"""', '"""Mine. ')
    edit(project / "trl_config.yaml", "learning_rate: ", "learning_rate: 3.0e-5 # was ")
    (project / "mine.py").write_text(OWN)
    commit(project)
    return project


def test_edits_are_kept_and_none_is_lost(edited: Path) -> None:
    planned = HERE("update", "--dry-run", "--json", cwd=edited)
    before = tree(edited)
    done = HERE("update", "--json", cwd=edited)
    assert done.returncode == 3 and planned.stdout == done.stdout, done.stderr
    assert "3.0e-5 # was" in (edited / "trl_config.yaml").read_text("utf-8")
    assert "BONUS = 0.25" in (edited / "rewards.py").read_text("utf-8")
    assert "My filtered rollouts" in (edited / "prepare_for_trl.py").read_text("utf-8")
    kinds = becomes(done)
    assert kinds["dataprep/read.py"] == "conflict" and kinds["dataprep/chats.py"] == "removed"
    assert (edited / "dataprep" / "read.py").read_text("utf-8").startswith('"""Mine. ')
    assert [str(each.relative_to(edited)) for each in edited.glob("dataprep/**/*.py")] == [
        "dataprep/read.py"
    ]
    assert kinds.get("mine.py") is None and "trl_config.yaml" not in planned.stderr
    assert list(edited.glob("vendor/rl_rollouts-*.whl"))
    git(edited, "restore", "--source=HEAD", "--staged", "--worktree", ".")
    assert tree(edited) == before


def test_it_is_said_where_everything_is_now(edited: Path) -> None:
    done = HERE("update", "--dry-run", cwd=edited)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "dataprep/read.py is rl_rollouts/data/read.py now" in said
    assert "make own" in said and "Hooks in filter_rollouts.py and prepare_for_*.py" in said
    assert "mine.py: dataprep.read is rl_rollouts.data.read now" in said
    assert "mine.py: ready_rewards is rl_rollouts.rewards.ready now" in said
    assert "mine.py: chat_masks is rl_rollouts.models.chat_masks now" in said
    found = json.loads(HERE("update", "--dry-run", "--json", cwd=edited).stdout)
    (read,) = [each for each in found["changes"] if each["path"] == "dataprep/read.py"]
    assert read["now"] == "rl_rollouts/data/read.py"
    assert {"path": "mine.py", "module": "dataprep.read", "now": "rl_rollouts.data.read"} in found[
        "imports"
    ]


def test_every_module_of_then_is_found_in_the_library(project: Path) -> None:
    """By what it holds or is called, without a list: also of those that have changed since."""
    old = [path for path in git(project, "ls-files", "*.py").split() if "tests/" not in path]
    names = [re.sub(r"/__init__$", "", name.removesuffix(".py")).replace("/", ".") for name in old]
    (project / "mine.py").write_text("".join(f"import {name}\n" for name in names))
    commit(project)
    done = HERE("update", "--dry-run", "--json", cwd=project)
    found = {each["module"]: each["now"] for each in json.loads(done.stdout)["imports"]}
    gone = {path for path, kind in becomes(done).items() if kind == "removed"}
    assert found.keys() == {name for path, name in zip(old, names, strict=True) if path in gone}
    library = ROOT / "runtime"
    for now in found.values():
        place = library / now.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), now
    assert found["config_file"] == "rl_rollouts.config"
    assert found["dataprep"] == "rl_rollouts"
    assert found["dataprep.report"] == "rl_rollouts.report"


def test_a_project_whose_owner_changed_nothing_is_told_nothing(project: Path) -> None:
    done = HERE("update", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "The library has these now" not in done.stdout and "import what" not in done.stdout
    assert not (project / "dataprep").exists()
