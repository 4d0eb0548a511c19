"""The project's environment against the pins of its pyproject.toml, and the library in vendor/.

Only metadata is read.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from scaffolder import library
from scaffolder.machine import visible_gpus
from scaffolder.project import Finding, Project, Weight, read_text

PIN = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?==([\w.!+]+)")
FILE = "pyproject.toml"


def check(project: Project) -> Iterator[Finding]:
    try:
        content = tomllib.loads(read_text(project.path / FILE))
        pins, on_gpus = _pins(content, "train"), _pins(content, "gpu")
        has_library = "rl-rollouts" in content.get("tool", {})
    except (OSError, ValueError, AttributeError, TypeError) as error:
        yield Finding("error", f"cannot be read: {error}", "Bring it back from git.", FILE)
        return
    sites = sorted(project.path.glob(".venv/lib/python*/site-packages"))
    installed = _installed(sites) if sites else None
    if has_library:  # in projects of 0.1.0 it was the project's own
        yield from _library(project, installed)
    if installed is None:
        yield Finding("note", "there is no environment in .venv", "make install makes it.")
        return
    for name, version in sorted({**pins, **on_gpus}.items()):
        there = installed.get(_plain(name))
        # On a machine without GPUs it is not to be there.
        weight: Weight = "error" if name in pins or visible_gpus() else "note"
        remedy = "make install." if name in pins else "make install-gpu, where training runs."
        if there is None:
            yield Finding(weight, f"{name} {version} is not installed in .venv", remedy, FILE)
        elif _public(there) != version:
            problem = f".venv has {name} {there}, and the project was made for {version}"
            yield Finding("warning", problem, f"{remedy[:-1]}, or change the pin.", FILE)


def _library(project: Project, installed: dict[str, str] | None) -> Iterator[Finding]:
    """The wheel that make install installs, against what is; one's own comes before both."""
    wheels = sorted(project.path.glob(library.WHEELS))
    if (project.path / library.NAME).is_dir():
        return
    if not wheels:
        problem = f"the library is gone: there is no {library.WHEELS}"
        yield Finding("error", problem, "Bring it back from git, or rl-scaffolder update.")
    elif len(wheels) > 1:
        problem = f"{library.VENDOR}/ holds {len(wheels)} versions of the library, and one counts"
        names = ", ".join(wheel.name for wheel in wheels)
        yield Finding("error", problem, f"Remove all but one of {names}.")
    elif installed is not None:
        version, there = library.version(wheels[0].name), installed.get(_plain(library.NAME))
        if there != version:
            has = f"has {library.NAME} {there}" if there else f"has no {library.NAME}"
            problem = f".venv {has}, and {library.VENDOR}/ has {version}"
            yield Finding("warning" if there else "error", problem, "make install.")


def _pins(content: dict[str, Any], extra: str) -> dict[str, str]:
    """What an extra installs, by name, with the project's own needs."""
    table = content.get("project", {})
    extras = table.get("optional-dependencies", {})
    wanted = [*table.get("dependencies", ()), *extras.get(extra, ())]
    found = (PIN.match(requirement) for requirement in wanted)
    return {each[1]: each[2] for each in found if each}


def _installed(sites: list[Path]) -> dict[str, str]:
    return {
        _plain(each.metadata["Name"]): each.version
        for each in distributions(path=[str(site) for site in sites])
        if each.metadata["Name"]
    }


def _plain(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _public(version: str) -> str:
    """Without the build: torch 2.13.0+cpu is torch 2.13.0."""
    return version.partition("+")[0]
