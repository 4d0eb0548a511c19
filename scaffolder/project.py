"""A rendered project as it stands on disk: its answers, its configs line by line, what is found.

The configs are read here once, and every check looks at what was read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scaffolder import library
from scaffolder.errors import DamagedAnswers, NoProject

if TYPE_CHECKING:
    from rl_rollouts.config import Entry
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec

SMOKE = "smoke_config.yaml"

Weight = Literal["error", "warning", "note"]
"""An error stops the launch or spoils the run; a warning may; a note is only worth knowing."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check has to say."""

    weight: Weight
    problem: str
    remedy: str
    file: str | None = None
    """Relative to the project."""
    line: int | None = None

    @property
    def place(self) -> str:
        """As editors and compilers write it; empty for what is in no file."""
        return ":".join(str(each) for each in (self.file, self.line) if each is not None)


MERGE = Finding(
    "error",
    "a merge is not finished: both sides of a conflict stand in it",
    "Take what you want of both, remove the marks, then `git add` it.",
)
"""What is said of every file with marks of git's."""
_MARK = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.M)


def conflicted(text: str) -> int | None:
    """The line where the first conflict that git marked begins."""
    mark = _MARK.search(text)
    return text.count("\n", 0, mark.start()) + 1 if mark else None


@dataclass(frozen=True)
class Config:
    """A YAML file of `key: value` lines, as it is written."""

    file: str
    entries: "tuple[Entry, ...]"
    """In the order of the file; a key that stands twice is there twice."""
    problem: Finding | None = None
    """Why it could not be read."""

    @property
    def is_smoke(self) -> bool:
        """Whether it is the tiny run on a CPU, which is one process and makes its own model."""
        return self.file == SMOKE

    def entry(self, key: str) -> "Entry | None":
        """The one that counts: of several, the last. Nested ones by dots: `trainer.nnodes`."""
        return _find(self.entries, key)

    def get(self, key: str, default: Any = None) -> Any:
        entry = self.entry(key)
        return default if entry is None else entry.value

    def changed(self, planned: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """Of keys that do not go together the first that is not as it was planned, and is written
        here; else the first."""
        wrong = (key for key in planned if values[key] != planned[key] and self.entry(key))
        return next(wrong, next(iter(planned)))

    def finding(self, weight: Weight, key: str | None, problem: str, remedy: str) -> Finding:
        """Something about a key, at its line where it is written."""
        entry = self.entry(key) if key else None
        return Finding(weight, problem, remedy, self.file, entry.line if entry else None)


@dataclass(frozen=True)
class Project:
    """A folder that `rl-scaffolder new` wrote, and what was made of it since."""

    path: Path
    spec: "ProjectSpec"
    plan: "Plan"
    configs: tuple[Config, ...]
    """The framework's, and that of the smoke run."""

    @property
    def config(self) -> Config:
        return self.configs[0]

    def yaml(self, name: str) -> Config:
        """Another YAML file of the project."""
        return read_config(self.path, name)


def _find(entries: "Sequence[Entry]", key: str) -> "Entry | None":
    for each in reversed(entries):
        if each.key == key:
            return each
        if key.startswith(f"{each.key}.") and (
            found := _find(each.below, key[len(each.key) + 1 :])
        ):
            return found
    return None


Check = Callable[[Project], Iterable[Finding]]


def load(path: Path) -> Project:
    """Read a project.

    Raises:
        NoProject: when there is none in this folder.
        DamagedAnswers: when its answers cannot be used.
    """
    from scaffolder import saved

    try:
        answers = saved.read(path)
    except NoProject:
        if line := _merge(path / saved.ANSWERS):
            why = f"line {line}: {MERGE.problem}"
            raise DamagedAnswers(path / saved.ANSWERS, [why]) from None
        raise
    names = (f"{answers.spec.framework}_config.yaml", SMOKE)
    configs = tuple(read_config(path, name) for name in names)
    return Project(path, answers.spec, answers.plan, configs)


def read_config(folder: Path, name: str) -> Config:
    """A YAML file of a project; one that cannot be read says why, and has no entries."""
    remedy, line = "Bring it back from git.", None
    try:
        lines = library.read_lines(folder / name)
        problem, line = lines.problem, lines.line
        if not problem:
            return Config(name, lines.entries)
    except FileNotFoundError:
        problem, remedy = "is not there", "Render it again, or bring it back from git."
    if merge := _merge(folder / name):
        return Config(name, (), replace(MERGE, file=name, line=merge))
    if problem.startswith("is not YAML"):
        remedy = "Mend the line; text with ': ', '#' or a bracket in front needs quotes."
    return Config(name, (), Finding("error", problem, remedy, name, line))


def _merge(path: Path) -> int | None:
    try:
        return conflicted(read_text(path))
    except (OSError, ValueError):
        return None


def read_text(path: Path) -> str:
    """The text of a regular file: a pipe would be waited for, a device never ends.

    Raises:
        OSError, ValueError: when there is none, or it is not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    return path.read_text("utf-8")
