"""What a project says while something is not there yet: packages, a trained model, a network."""

import logging
import os
import socket
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import Result, run
from projects import make, python, render
from rl_rollouts import hub, installed
from rl_rollouts.errors import UserError
from scaffolder.frameworks import discover

ONLINE = [name for name, each in discover().items() if "grpo" in each.algorithms]
HERE = [name for name in ONLINE if not discover()[name].smoke_gpus]
LATER = {"export": "outputs/p/final", "evaluate": "outputs/p/final", "curve": "outputs/p/log.jsonl"}
"""Targets that need a run, and the path that each looks at."""
Projects = Callable[[str], Path]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """One of each framework whose training needs what only GPUs can use."""

    @cache
    def made(name: str) -> Path:
        words = ["--framework", name, "--algorithm", "grpo", "--gpus-per-node", "2"]
        if "vllm_server" in discover()[name].generations:
            words += ["--generation", "vllm_server"]
        return render(tmp_path_factory.mktemp(name), *words)

    return made


def plain(project: Path, *arguments: str) -> Result:
    """make with a Python that has what this suite runs in, which is made for no GPU."""
    return run(["make", f"PYTHON={sys.executable}", *arguments], project)


@pytest.mark.parametrize("name", ONLINE)
def test_training_says_first_what_to_install(name: str, projects: Projects) -> None:
    project = projects(name)
    for done in (
        plain(project, "train"),
        run([sys.executable, "-m", "rl_rollouts.installed", "gpu"], project),
    ):
        assert done.returncode == 2 and not (project / "filtered.jsonl").exists()
        assert f"Not installed in {sys.prefix}: " in done.stderr
    assert "vllm==" in done.stderr and "run `make install-gpu` first" in done.stderr


@pytest.mark.parametrize("name", ONLINE)
def test_only_gpus_need_what_only_gpus_can_use(name: str, projects: Projects) -> None:
    project = projects(name)
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    without = installed.wanted(content, "train")
    assert not [each for each in without if "vllm" in each or "flash" in each]
    assert any(each.startswith("vllm==") for each in installed.wanted(content, "gpu"))
    done = run(["make", "--dry-run", "install"], project)
    assert ".[train,test]" in done.stdout and "gpu" not in done.stdout
    done = run(["make", "--dry-run", "install-gpu"], project)
    assert done.stdout.count("-m venv") == 1 and ".[train,gpu,test]" in done.stdout


@pytest.mark.parametrize("name", ONLINE)
def test_a_makefile_speaks_of_its_own_algorithm(name: str, projects: Projects) -> None:
    said = (projects(name) / "Makefile").read_text("utf-8").splitlines()
    (reason,) = (each for each, after in pairwise(said) if after.startswith("FILTER ?="))
    assert reason == "# Rewards are given anew; recorded ones may choose tasks: no threshold."


@pytest.mark.parametrize("name", discover())
def test_a_project_without_such_needs_has_no_such_target(name: str, tmp_path: Path) -> None:
    project = render(tmp_path, "--framework", name, "--algorithm", "sft")
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    needed = bool(installed.wanted(content, "gpu"))
    for file in ("Makefile", "README.md", "AGENTS.md"):
        assert ("install-gpu" in (project / file).read_text("utf-8")) == needed, file


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("target", LATER)
def test_what_needs_a_run_says_so(name: str, target: str, projects: Projects) -> None:
    done = make(projects(name), target)
    assert done.returncode == 2 and LATER[target] in done.stderr
    assert "error: There is no " in done.stderr and "Train first (`make train`)" in done.stderr


@pytest.mark.parametrize("name", HERE)
def test_a_model_that_is_not_here_takes_two_lines(name: str, projects: Projects) -> None:
    project = projects(name)
    data = project / "data.jsonl"
    sample = ["--input", "tests/sample_rollouts.jsonl", "--output", data.name]
    assert python(project, f"prepare_for_{name}.py", *sample).returncode == 0
    words = ["--data_path", data.name, "--config", f"{name}_config.yaml", "--check_only"]
    done = python(project, f"train_{name}.py", *words)
    assert done.returncode == 2
    error, remedy = done.stderr.splitlines()
    assert "Qwen/Qwen3-0.6B is not on this machine" in error and hub.OFFLINE in error
    assert "hf download Qwen/Qwen3-0.6B" in remedy


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has said that there is no network."""
    from huggingface_hub import constants

    monkeypatch.setenv(hub.OFFLINE, "0")
    monkeypatch.setattr(constants, hub.OFFLINE, False)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_network_that_is_not_there_is_asked_once(
    online: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert hub.ask_nobody_in_vain("org/model") == ""
    assert hub.ask_nobody_in_vain(str(tmp_path)) == ""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert hub.ask_nobody_in_vain("org/model") == ""
    monkeypatch.delenv("HTTPS_PROXY")
    assert hub.ask_nobody_in_vain("org/model") == "127.0.0.1 cannot be reached"
    assert constants.is_offline_mode() and os.environ[hub.OFFLINE] == "1"
    assert hub.ask_nobody_in_vain("org/model") == f"{hub.OFFLINE} is set"


@pytest.mark.parametrize("name", ["outputs/run/final", "./model", "/gone/model", "~/gone"])
def test_a_path_is_never_looked_up(name: str) -> None:
    with pytest.raises(UserError, match=r"There is no .*\n.*Train first"), hub.loading(name):
        raise AssertionError("was asked for")


def test_what_the_hub_says_is_said_once(online: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    log = logging.getLogger("huggingface_hub.utils._http")
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    log.addHandler(handler)
    monkeypatch.setattr(hub, "_answers", lambda host: True)
    wanted = "Cannot load org/model: no such repository\nGive"
    with pytest.raises(UserError, match=wanted), hub.loading("org/model"):
        log.warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no such repository\nand much more")
    log.removeHandler(handler)
    assert said == []
