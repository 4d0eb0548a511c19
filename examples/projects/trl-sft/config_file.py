"""The config of a trainer: YAML of `key: value` lines, and words for what is wrong in it."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dataprep.errors import UserError

SHOWN = 20
"""Problems that one error names."""


class Config(NamedTuple):
    """The top level of a file, with what was given beside it."""

    values: dict[str, Any]
    places: dict[str, str]
    """Where each key stands: `file:line`, or `--set`."""
    leaves: dict[str, str]
    """The same of the keys with no key below, down to the last level: `trainer.nnodes`."""


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a file.

    Args:
        overrides: `key=value` each, the value in YAML; they win over the file.

    Raises:
        UserError: when it cannot be read, holds no such lines, or holds a key twice.
    """
    try:
        text = path.read_text("utf-8")
        root, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"Cannot read {path}: {reason}.", "Give --config a YAML file.") from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path} holds no `key: value` lines.", "Give --config a YAML file.")
    places = {key: place for key, place, _ in _keys(path, root)}
    leaves = dict(_leaves(path, root))
    given = dict(map(_parsed, overrides))
    values = {str(key): value for key, value in values.items()}
    return Config(values | given, places | dict.fromkeys(given, "--set"), leaves)


def _keys(path: Path, mapping: yaml.MappingNode) -> Iterator[tuple[str, str, yaml.Node]]:
    """The keys of one level, where they stand, and what they hold."""
    seen = set()
    for key, node in mapping.value:
        place = f"{path}:{key.start_mark.line + 1}"
        if key.value in seen:
            raise UserError(f"{place}: {key.value} stands there twice.", "Remove one of them.")
        seen.add(key.value)
        yield str(key.value), place, node


def _leaves(path: Path, mapping: yaml.MappingNode) -> Iterator[tuple[str, str]]:
    for key, place, node in _keys(path, mapping):
        if isinstance(node, yaml.MappingNode) and node.value:
            yield from ((f"{key}.{name}", at) for name, at in _leaves(path, node))
        else:
            yield key, place


def _parsed(override: str) -> tuple[str, Any]:
    key, _, value = override.partition("=")
    try:
        return key, yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
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
