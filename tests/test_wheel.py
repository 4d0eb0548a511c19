"""A wheel, installed into an empty environment, renders what the checkout renders."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, Command, run
from test_new import tree


def test_wheel_renders_the_same_project(scaffold: Command, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for framework in ("trl", "custom"):
        words = ["new", framework, "--framework", framework, "--algorithm", "sft", "--json"]
        installed = run([str(environment / "bin/rl-scaffolder"), *words], elsewhere)
        assert installed.returncode == 0, installed.stderr
        ours = json.loads(scaffold(*words).stdout)
        assert {**json.loads(installed.stdout), "path": ""} == {**ours, "path": ""}
        assert tree(elsewhere / framework) == tree(tmp_path / framework)
        told = run(
            [str(environment / "bin/rl-scaffolder"), "check", framework, "--json"], elsewhere
        )
        assert "were not checked" not in told.stdout and json.loads(told.stdout)["findings"]
    names = run([sys.executable, "-m", "zipfile", "--list", str(wheel)], tmp_path).stdout
    assert "__pycache__" not in names
