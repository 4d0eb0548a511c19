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
from scaffolder.project import Finding, Project, read_text

PIN = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?==([\w.!+]+)")
FILE = "pyproject.toml"


def check(project: Project) -> Iterator[Finding]:
    try:
        content = tomllib.loads(read_text(project.path / FILE))
        pins, has_library = _pins(content), "rl-rollouts" in content.get("tool", {})
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
    for name, version in sorted(pins.items()):
        there = installed.get(_plain(name))
        if there is None:
            problem = f"{name} {version} is not installed in .venv"
            yield Finding("error", problem, "make install.", FILE)
        elif _public(there) != version:
            problem = f".venv has {name} {there}, and the project was made for {version}"
            yield Finding("warning", problem, "make install, or change the pin.", FILE)


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


def _pins(content: dict[str, Any]) -> dict[str, str]:
    """What `make install` installs, by name: the project's own needs and those of training."""
    table = content.get("project", {})
    wanted = [
        *table.get("dependencies", ()),
        *table.get("optional-dependencies", {}).get("train", ()),
    ]
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
