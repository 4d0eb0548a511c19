"""A project on a machine without network: installed from what is at hand, then smoke run and
tests."""

import os
import site
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from conftest import run
from projects import render

pytestmark = pytest.mark.long


def at_hand(project: Path, wheels: Path) -> dict[str, str]:
    """An environment of pip's with no index and one folder, which holds what a project needs;
    what it needs to train is in the environment that runs this."""
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    table = content["project"]
    needed = [*table["dependencies"], *table["optional-dependencies"]["test"]]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
    subprocess.run([*pip, *content["build-system"]["requires"], *needed], check=True)
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "HF_HUB_OFFLINE": "1"}
    return {**outside, **nowhere, "PIP_FIND_LINKS": str(wheels)}


def test_it_installs_smokes_and_tests_itself(tmp_path: Path) -> None:
    original = render(tmp_path, "--framework", "trl", "--algorithm", "sft")
    environment = at_hand(original, tmp_path / "wheels")
    project = original.rename(tmp_path / "another machine")
    venv.create(project / ".venv", with_pip=True, symlinks=True)
    (own,) = (project / ".venv").glob("lib/python*/site-packages")
    (own / "at_hand.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (wheel,) = project.glob("vendor/*.whl")
    pip = [str(project / ".venv/bin/python"), "-m", "pip", "install", str(wheel)]
    done = run([*pip, "--editable", ".[train,test]"], project, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for target in ("smoke", "test"):
        done = run(["make", target], project, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
