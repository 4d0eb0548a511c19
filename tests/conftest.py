"""Fixtures: the command line as a person types it, and rendered projects."""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import warm

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
BASE = TEMPLATES / "{{base}}"
LIBRARY = ROOT / "runtime" / "rl_rollouts"
SAMPLE = BASE / "tests" / "sample_rollouts.jsonl"

pytest_plugins = ("custom_runs",)

sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

TOOL = ("copier", "jinja2", "pydantic", "questionary", "rich", "typer")
"""What the command line imports."""

Result = subprocess.CompletedProcess[str]
Command = Callable[..., Result]


def run(command: list[str], cwd: Path, **options: Any) -> Result:
    return subprocess.run(
        command, cwd=cwd, text=True, capture_output=True, stdin=subprocess.DEVNULL, **options
    )


@contextmanager
def running(command: list[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A program that is ended with all that it has started, whatever the test has found."""
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
            process.wait(300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def scaffold(tmp_path: Path) -> Command:
    """`rl-scaffolder ARGUMENTS` in an empty directory, without a terminal."""

    def call(*arguments: str, cwd: Path = tmp_path) -> Result:
        return run([warm.python(*TOOL), "-m", "scaffolder", *arguments], cwd)

    return call


@pytest.fixture
def new(scaffold: Command) -> Callable[..., Path]:
    """Render a project and return its folder."""

    def call(name: str, *arguments: str) -> Path:
        result = scaffold("new", name, "--yes", "--json", *arguments)
        assert result.returncode == 0, result.stderr
        return Path(json.loads(result.stdout)["path"])

    return call


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The config that `prepare_for_trl.py` reads the algorithm from, for sft."""
    path = tmp_path / "trl_config.yaml"
    path.write_text("algorithm: sft\nassistant_only_loss: true\n")
    return path


@pytest.fixture
def ray_python() -> str:
    """An interpreter with what projects need for `--engine ray`: RAY_PYTHON, or this one."""
    found = os.environ.get("RAY_PYTHON", "")
    if found or importlib.util.find_spec("ray"):
        return found or sys.executable
    pytest.fail("RAY_PYTHON names no interpreter that has Ray: make contracts ONLY=runs")


@pytest.fixture(scope="session")
def smoked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `make smoke`, for the framework and algorithm of `projects.choices`.

    Made once for all of pytest's processes, which then write to different folders of it. What the
    run said is in `smoke.log` beside it.
    """
    from projects import make, render

    framework, algorithm = request.param
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / f"{framework}-{algorithm}"
    with (shared / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "smoke.log").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            project = render(folder, "--framework", framework, "--algorithm", algorithm)
            result = make(project, "smoke")
            assert result.returncode == 0, result.stdout + result.stderr
            (folder / "smoke.log").write_text(result.stdout)
    return folder / "p"


@pytest.fixture(scope="session")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TRL project for sft with data and a tiny model, ready to train."""
    from projects import tiny

    return tiny(tmp_path_factory.mktemp("trl"), "--algorithm", "sft")


@pytest.fixture(scope="session")
def grpo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for grpo."""
    from projects import tiny

    return tiny(tmp_path_factory.mktemp("grpo"), "--algorithm", "grpo")
