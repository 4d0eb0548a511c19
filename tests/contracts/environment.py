"""One environment a framework, made again only when what it should hold has changed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from scaffolder.frameworks import discover

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv" / "contracts"
RENDERING = ("jinja2>=3.1", "jinja2-ansible-filters>=1.3", "pydantic>=2.11")
"""What `rendering.py` and the adapters need; of the tool's dependencies these alone."""
RUNNING = ("pytest-timeout>=2.4", "pytest-xdist>=3.6")
"""What runs the tests, beside the pytest that projects pin."""
PREPARATION = ("msgspec", "PyYAML", "tqdm", "xxhash", "zstandard", "pyarrow", "pytest")
"""Packages whose pins stand in the template's pyproject."""


def requirements(framework: str) -> list[str]:
    """What the framework's environment holds, sorted."""
    folder = import_module(f"contracts.{framework}")
    extra: Sequence[str] = getattr(folder, "REQUIREMENTS", ())
    needed: Sequence[str] | None = getattr(folder, "PACKAGES", None)
    pins = [
        pin
        for pin in discover()[framework].requirements
        if needed is None or pin.split("==")[0] in needed
    ]
    return sorted({*pins, *extra, *RENDERING, *RUNNING, *_pins()})


def _pins() -> list[str]:
    text = (ROOT / "templates" / "{{base}}" / "pyproject.toml.jinja").read_text("utf-8")
    return [
        pin for pin in re.findall(r'"([\w-]+==[\w.]+)"', text) if pin.split("==")[0] in PREPARATION
    ]


def variables(framework: str) -> dict[str, str]:
    """The environment of every process of the framework's tests."""
    own: Mapping[str, str] = getattr(import_module(f"contracts.{framework}"), "ENVIRONMENT", {})
    overlays = (ROOT / "templates" / f"{{{{{name}}}}}" for name in ("base", framework))
    paths = (ROOT, ROOT / "runtime", ROOT / "tests", *overlays)
    return {
        **os.environ,
        **own,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def python(framework: str) -> Path:
    """The interpreter of the framework's environment, which is made when it is not there."""
    folder, wanted = FOLDER / framework, requirements(framework)
    interpreter, done = folder / "bin" / "python", folder / "requirements.txt"
    alone: Sequence[str] = getattr(
        import_module(f"contracts.{framework}"), "WITHOUT_DEPENDENCIES", ()
    )
    text = "".join(f"{each}\n" for each in [*wanted, *alone])
    if done.is_file() and done.read_text("utf-8") == text:
        return interpreter
    print(f"Installing {', '.join(wanted)} (minutes) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # torch by itself first: together with others pip may look at several builds of it.
    first = [each for each in wanted if each.startswith("torch==")]
    for packages in (first, wanted):
        if packages:
            command = [str(interpreter), "-m", "pip", "install", "--quiet", *packages]
            subprocess.run(command, check=True, env=variables(framework))
    if alone:
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--no-deps", *alone]
        subprocess.run(command, check=True, env=variables(framework))
    done.write_text(text, "utf-8")
    return interpreter
