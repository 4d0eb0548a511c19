"""A launch script, line by line, and where things stand in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scaffolder.project import Finding, Project, read_text


class Line(NamedTuple):
    """One line of a script without its comment."""

    number: int
    text: str

    @property
    def bare(self) -> str:
        """Without what stands in single quotes, which bash leaves as it is."""
        return re.sub(r"'[^']*'", "''", self.text)


class Script(NamedTuple):
    """A file in `launch/`."""

    name: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def all(self, pattern: str) -> Iterator[tuple[int, str]]:
        """The lines where a pattern is found, and what its group holds there."""
        for line in self.lines:
            yield from ((line.number, match[1]) for match in re.finditer(pattern, line.text))

    def first(self, pattern: str) -> tuple[int, str] | None:
        return next(self.all(pattern), None)

    def finding(self, problem: str, remedy: str, line: int | None = None) -> Finding:
        return Finding("error", problem, remedy, self.name, line)


def names(project: Project) -> list[str]:
    """Those that were rendered."""
    server = ["launch/server.sh"] if project.plan.server else []
    return [f"launch/{project.spec.topology}.sh", *server]


def read(folder: Path, name: str) -> Script | Finding:
    """A script, or why there is none to be read."""
    try:
        text = read_text(folder / name)
    except FileNotFoundError:
        return Finding("error", "is not there", "Bring it back from git.", name)
    except (OSError, ValueError) as error:
        return Finding("error", f"cannot be read: {error}", "Bring it back from git.", name)
    return Script(name, tuple(_lines(text)))


def _lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        without = re.sub(r"(^|\s)#\s.*$", "", line)
        if without.strip():
            yield Line(number, without)
