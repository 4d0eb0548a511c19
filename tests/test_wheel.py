"""A wheel, built from the source distribution and installed into an empty environment, does what
the checkout does, and carries the library of projects."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, SAMPLE, Command, Result, run
from test_moved import ANSWERS
from test_new import git, tree
from test_update import commit

pytestmark = pytest.mark.long

Tool = Callable[..., Result]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First the source distribution is built, then the wheel of that."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    assert sorted(each.suffix for each in folder.iterdir()) == [".gz", ".whl"]
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    environment = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def tool(*words: str, cwd: Path) -> Result:
        return run([str(environment / "bin/rl-scaffolder"), *words], cwd, env=alone)

    return tool


def test_a_wheel_renders_the_same_project(
    installed: Tool, scaffold: Command, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for framework in ("trl", "custom"):
        words = ["new", framework, "--framework", framework, "--algorithm", "sft", "--json"]
        done = installed(*words, cwd=elsewhere)
        assert done.returncode == 0, done.stderr
        ours = json.loads(scaffold(*words).stdout)
        assert {**json.loads(done.stdout), "path": ""} == {**ours, "path": ""}
        assert tree(elsewhere / framework) == tree(tmp_path / framework)
        told = installed("check", framework, "--json", cwd=elsewhere)
        assert "were not checked" not in told.stdout and json.loads(told.stdout)["findings"]


def test_it_reads_rollouts_and_updates_projects(
    installed: Tool, scaffold: Command, tmp_path: Path
) -> None:
    ours, theirs = (
        json.loads(done.stdout)
        for done in (
            installed("inspect", str(SAMPLE), "--json", cwd=tmp_path),
            scaffold("inspect", str(SAMPLE), "--json"),
        )
    )
    assert ours == theirs
    assert installed("new", "p", "--answers", str(ANSWERS), cwd=tmp_path).returncode == 0
    (vendored,) = (tmp_path / "p").glob("vendor/*.whl")
    vendored.rename(vendored.with_name("rl_rollouts-0.0.1-py3-none-any.whl"))
    commit(tmp_path / "p")
    done = installed("update", "--dry-run", "--json", cwd=tmp_path / "p")
    assert json.loads(done.stdout)["library"]["before"] == ["0.0.1"], done.stderr
    assert git(tmp_path / "p", "status", "--porcelain") == ""


def test_a_wheel_holds_one_library_and_no_caches(wheel: Path, tmp_path: Path) -> None:
    names = run([sys.executable, "-m", "zipfile", "--list", str(wheel)], tmp_path).stdout
    assert "__pycache__" not in names and names.count("scaffolder/_library/rl_rollouts-") == 1
