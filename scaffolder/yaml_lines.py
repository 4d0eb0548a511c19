"""One value in a YAML file of `key: value` lines, changed or added where its comments stand."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl_rollouts.config import Entry


def write(file: Path, entries: "Sequence[Entry]", key: str, value: Any) -> None:
    """
    Args:
        entries: what the file holds.
        key: with dots where nested; what is missing on the way is added.
    """
    lines = file.read_text("utf-8").splitlines()
    section, names = _deepest(entries, key.split("."))
    if section and not names:
        lines[section.line - 1] = _changed(lines[section.line - 1], value)
    else:
        place = section.line if section else len(lines)
        pad = _pad(lines, section) if section else ""
        lines[place:place] = _added(pad, names, value)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _deepest(entries: "Sequence[Entry]", names: list[str]) -> "tuple[Entry | None, list[str]]":
    """The last entry on the way to a key that is there, and the names that are left."""
    found = None
    while names and (next_ := next((each for each in entries if each.key == names[0]), None)):
        found, entries, names = next_, next_.below, names[1:]
    return found, names


def _changed(line: str, value: Any) -> str:
    """With its comment."""
    said = re.match(r"(\s*[^:#]+:)\s*(?:\"[^\"]*\"|'[^']*'|[^#\n])*?(\s+#.*)?$", line)
    head, comment = (said[1], said[2] or "") if said else (line.partition(":")[0] + ":", "")
    return f"{head} {shown(value)}{comment}"


def _pad(lines: Sequence[str], section: "Entry") -> str:
    """How far in the keys of a section stand."""
    line = lines[(section.below[0].line if section.below else section.line) - 1]
    own = line[: len(line) - len(line.lstrip())]
    return own if section.below else own + "  "


def _added(pad: str, names: Sequence[str], value: Any) -> list[str]:
    above = [f"{pad}{'  ' * depth}{name}:" for depth, name in enumerate(names[:-1])]
    return [*above, f"{pad}{'  ' * (len(names) - 1)}{names[-1]}: {shown(value)}"]


def shown(value: Any) -> str:
    """A plain value as YAML 1.1 reads it."""
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
