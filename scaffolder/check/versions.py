"""The project's environment against the pins of its pyproject.toml. Only metadata is read."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from scaffolder.project import Finding, Project

PIN = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?==([\w.!+]+)")
FILE = "pyproject.toml"


def check(project: Project) -> Iterator[Finding]:
    try:
        pins = _pins(tomllib.loads((project.path / FILE).read_text("utf-8")))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        yield Finding("error", f"cannot be read: {error}", "Bring it back from git.", FILE)
        return
    sites = sorted(project.path.glob(".venv/lib/python*/site-packages"))
    if not sites:
        yield Finding("note", "there is no environment in .venv", "make install makes it.")
        return
    installed = _installed(sites)
    for name, version in sorted(pins.items()):
        there = installed.get(_plain(name))
        if there is None:
            problem = f"{name} {version} is not installed in .venv"
            yield Finding("error", problem, "make install.", FILE)
        elif _public(there) != version:
            problem = f".venv has {name} {there}, and the project was made for {version}"
            yield Finding("warning", problem, "make install, or change the pin.", FILE)


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
