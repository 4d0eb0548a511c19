"""The library in an environment: from the project's folder, by its path, whatever an index has."""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result, run
from scaffolder import library

EVIL = "raise SystemExit('somebody else')\n"
WHOSE = "import rl_rollouts.values, importlib.metadata as m; print(m.version('rl-rollouts'))"


@pytest.fixture
def at_hand(tmp_path: Path) -> Path:
    """What a machine without network has: a project's requirements, without those of training,
    and the library of somebody who has registered its name."""
    folder = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    wanted = ["setuptools>=77", "pytest==9.2.0", "msgspec==0.22.0", "PyYAML==6.0.3"]
    wanted += ["tqdm==4.70.1", "xxhash==4.1.0", "zstandard==0.25.0"]
    done = run([*pip, *wanted], tmp_path)
    assert done.returncode == 0, done.stderr
    notes = "rl_rollouts-99.0.dist-info"
    files = {
        "rl_rollouts/__init__.py": EVIL,
        f"{notes}/METADATA": "Metadata-Version: 2.1\nName: rl-rollouts\nVersion: 99.0\n",
        f"{notes}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{notes}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{notes}/RECORD"])
    with zipfile.ZipFile(folder / "rl_rollouts-99.0-py3-none-any.whl", "w") as evil:
        for name, text in files.items():
            evil.writestr(name, text)
    return folder


@pytest.fixture
def project(new: Callable[..., Path]) -> Path:
    """In a path with a blank."""
    made = new("a b/p", "--framework", "custom", "--algorithm", "sft")
    makefile = made / "Makefile"  # torch is not part of this
    makefile.write_text(makefile.read_text("utf-8").replace("[train,test]", "[test]"), "utf-8")
    return made


def whose(project: Path) -> Result:
    return run([str(project / ".venv" / "bin" / "python"), "-c", WHOSE], project)


def test_make_install_takes_it_from_the_project(project: Path, at_hand: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(at_hand), "PIP_CONFIG_FILE": os.devnull}
    words = ["make", f"SYSTEM_PYTHON={sys.executable}", "install"]
    done = run(words, project, env={**os.environ, **offline})
    assert done.returncode == 0, done.stdout + done.stderr
    assert whose(project).stdout == library.version(library.path()) + "\n"
    made = run(["make", "filter", "ROLLOUTS=tests/sample_rollouts.jsonl"], project)
    assert made.returncode == 0, made.stderr
    assert "egg-info" not in run(["git", "status", "--porcelain"], project).stdout


def test_uv_takes_it_from_the_project_and_follows_an_update(
    project: Path, at_hand: Path, tmp_path: Path
) -> None:
    """uv resolves all extras at once, so of these only those at hand are left."""
    text = (project / "pyproject.toml").read_text("utf-8")
    begin, _, rest = text.partition("[project.optional-dependencies]")
    _, _, end = rest.partition("[tool.setuptools]")
    only_test = '[project.optional-dependencies]\ntest = ["pytest==9.2.0"]\n'
    (project / "pyproject.toml").write_text(f"{begin}{only_test}\n[tool.setuptools]{end}", "utf-8")
    uv = ["uv", "sync", "--offline", "--extra", "test", "--python", sys.executable]
    uv += ["--find-links", str(at_hand), "--cache-dir", str(tmp_path / "cache")]
    for version in ("first", "second"):
        (wheel,) = project.glob(library.WHEELS)
        done = run([sys.executable, "-m", *uv], project)
        assert done.returncode == 0, done.stderr
        assert whose(project).stdout == library.version(wheel.name) + "\n", version
        wheel.unlink()
        sources = library.CHECKOUT
        name, content = library.build(_changed(sources, tmp_path / version))
        (project / "vendor" / name).write_bytes(content)


def _changed(sources: Path, folder: Path) -> Path:
    from test_library import copy

    with (copy(folder) / "rl_rollouts" / "values.py").open("a") as text:
        text.write(f"# {sources.name} {folder.name}\n")
    return folder
