"""What a project says about itself: the configs of its trainer, and its pyproject.toml.

YAML is imported by what reads it: rewards, which read none, run where only Python is.
"""

import difflib
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import UserError

if TYPE_CHECKING:
    import yaml

UNFIT = (AttributeError, KeyError)
"""What PyYAML raises for a value that is not what its tag says: `!!bool x`."""
SHOWN = 20
"""Problems that one error names."""


@dataclass(frozen=True)
class Entry:
    """One `key: value` of a file."""

    key: str
    value: Any
    line: int
    below: tuple["Entry", ...] = ()
    """What a mapping holds."""


class Lines(NamedTuple):
    """A file of `key: value` lines, as it is written."""

    entries: tuple[Entry, ...] = ()
    """In the order of the file; a key that stands twice is there twice."""
    values: Mapping[str, Any] = {}
    """What counts: of several the last, and what is merged from elsewhere (`<<: *other`)."""
    problem: str = ""
    """Why it could not be read."""
    line: int | None = None
    """Of the problem, where it has one."""


class Config(NamedTuple):
    """The top level of a file, with what was given beside it."""

    values: dict[str, Any]
    places: dict[str, str]
    """Where each key stands: `file:line`, or `--set`."""
    leaves: dict[str, str]
    """The same of the keys with no key below, down to the last level: `trainer.nnodes`."""


def read_lines(path: Path) -> Lines:
    """Read a file; one that cannot be read says why, and has no entries.

    Raises:
        FileNotFoundError: when it is not there.
    """
    import yaml

    text = ""
    try:
        if path.exists() and not path.is_file():
            return Lines(problem="is no regular file")  # a pipe would be waited for
        text = path.read_text("utf-8")
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            return Lines(problem="holds no `key: value` lines")
        entries = tuple(_entries(loader, root))
        loader.flatten_mapping(root)
        pairs = ((str(key.value), node) for key, node in root.value)
        return Lines(entries, {key: loader.construct_object(node, True) for key, node in pairs})
    except FileNotFoundError:
        raise
    except yaml.YAMLError as error:
        return Lines(problem=f"is not YAML: {_said(error)}", line=_begun(error, text))
    except UNFIT:
        return Lines(problem="is not YAML: a value is not what its tag says")
    except (OSError, ValueError, RecursionError) as error:
        return Lines(problem=f"cannot be read: {_words(error)}")


def _entries(loader: Any, mapping: "yaml.MappingNode") -> Iterator[Entry]:
    import yaml

    for key, node in mapping.value:
        if key.tag == "tag:yaml.org,2002:merge":  # it repeats what stands elsewhere
            continue
        below = tuple(_entries(loader, node)) if isinstance(node, yaml.MappingNode) else ()
        value = loader.construct_object(node, deep=True)
        yield Entry(str(key.value), value, key.start_mark.line + 1, below)


def _said(error: "yaml.YAMLError") -> str:
    return getattr(error, "problem", None) or _words(error)


def _begun(error: "yaml.YAMLError", text: str) -> int | None:
    """The line where what YAML stumbles over begins: a quote or a bracket that is left open lets it
    read on, often to the next one of its kind."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return None
    context = str(getattr(error, "context", ""))
    opened = _opened(text, mark.line)
    if opened is None and ("quoted scalar" in context or "flow" in context):
        opened = error.context_mark.line  # type: ignore[attr-defined]
    return (mark.line if opened is None else opened) + 1


def _opened(text: str, stumbled: int) -> int | None:
    """The line of a quoted text that goes on to the line where YAML stumbled."""
    import yaml

    found = None
    try:
        for token in yaml.scan(text):
            first, last = token.start_mark.line, token.end_mark.line
            quoted = isinstance(token, yaml.ScalarToken) and token.style in {"'", '"'}
            if quoted and first < last == stumbled:
                found = first
    except yaml.YAMLError:
        pass
    return found


def _words(error: Exception) -> str:
    return " ".join(str(error).split())


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a file.

    Args:
        overrides: `key=value` each, the value in YAML; they win over the file.

    Raises:
        UserError: when it cannot be read, holds no such lines, or holds a key twice.
    """
    try:
        lines = read_lines(path)
    except FileNotFoundError as error:
        lines = Lines(problem=_words(error))
    if lines.problem:
        where = f"{path}:{lines.line}" if lines.line else path
        problem = f"Cannot read {where}: {lines.problem}."
        raise UserError(problem, "Give --config a YAML file.")
    places = {key: place for key, place, _ in _keys(path, lines.entries)}
    leaves = dict(_leaves(path, lines.entries))
    given = dict(map(_parsed, overrides))
    return Config({**lines.values, **given}, places | dict.fromkeys(given, "--set"), leaves)


def _keys(path: Path, entries: Sequence[Entry]) -> Iterator[tuple[str, str, Entry]]:
    """The keys of one level, and where they stand."""
    seen = set()
    for entry in entries:
        place = f"{path}:{entry.line}"
        if entry.key in seen:
            raise UserError(f"{place}: {entry.key} stands there twice.", "Remove one of them.")
        seen.add(entry.key)
        yield entry.key, place, entry


def _leaves(path: Path, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    for key, place, entry in _keys(path, entries):
        if entry.below:
            yield from ((f"{key}.{name}", at) for name, at in _leaves(path, entry.below))
        else:
            yield key, place


def _parsed(override: str) -> tuple[str, Any]:
    import yaml

    key, _, value = override.partition("=")
    try:
        return key, yaml.safe_load(value)
    except (ValueError, *UNFIT, yaml.YAMLError):
        raise UserError(f"--set {override}: the value is no YAML.", "Correct it.") from None


def unknown(key: str, known: Iterable[str]) -> str:
    """What is said of a key that is none of the known ones."""
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f"unknown key {key}; {f'did you mean {near[0]}?' if near else 'remove it'}"


def refuse(problems: Sequence[str]) -> UserError:
    """All that is wrong with a run, each with what to do; of very many problems the first."""
    more = [f"... and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
    lines = [f"{len(problems):,} problem(s):", *problems[:SHOWN], *more]
    return UserError("\n  ".join(lines), "Nothing was trained.")


def read_yaml(path: Path, remedy: str) -> Any:
    """What a YAML file holds.

    Raises:
        UserError: when it cannot be read.
    """
    import yaml

    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, *UNFIT, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {path}: {error}.", remedy) from None


class Project(NamedTuple):
    """The project that a script belongs to: `[tool.rl-rollouts]` of its pyproject.toml."""

    folder: Path
    framework: str = ""
    """The name of what trains; empty outside of projects."""

    @property
    def template(self) -> str:
        """Version of the templates that it was rendered from, `unknown` where it does not say."""
        answers = self.folder / ".copier-answers.yml"
        try:
            found = read_yaml(answers, "")
        except UserError:
            return "unknown"
        return str(found.get("_commit", "unknown")) if isinstance(found, dict) else "unknown"


def project() -> Project:
    """That of the script that runs, else that of the working directory."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = [Path(script).resolve().parent] if script else []
    for folder in (*folders, Path.cwd()):
        if (table := _table(folder)) is not None:
            return Project(folder, str(table.get("framework", "")))
    return Project(Path.cwd())


def _table(folder: Path) -> Mapping[str, Any] | None:
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    found = content.get("tool", {}).get("rl-rollouts")
    return found if isinstance(found, dict) else None
