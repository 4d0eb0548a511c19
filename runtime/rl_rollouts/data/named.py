"""Records whose keys have other names: `--keys prompt=problem ground_truth=solution`."""

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from ..config import unknown
from ..errors import Damaged, UserError
from ..values import assignment
from .record import Record, demand_text, values_of

Keys = tuple[tuple[str, str], ...]
"""Names that are read here, each with the one that stands in the records."""
READ = Record.__struct_encode_fields__


def add_keys(parser: argparse.ArgumentParser) -> None:
    """The option of whatever reads rollouts."""
    parser.add_argument(
        "--keys",
        nargs="+",
        type=assignment,
        default=[],
        metavar="NAME=KEY",
        help="where your records have other names: prompt=problem ground_truth=solution; a dot "
        "goes one level down",
    )


def keys_of(assignments: Sequence[tuple[str, str]]) -> Keys:
    """The names as they were typed, checked.

    Raises:
        UserError: for a name that is not read, or that is given twice.
    """
    names = [ours for ours, _ in assignments]
    wrong = [unknown(ours, READ) for ours in dict.fromkeys(names) if ours not in READ]
    wrong += [f"{ours} is given twice" for ours in dict.fromkeys(names) if names.count(ours) > 1]
    if wrong:
        raise UserError(
            f"--keys: {'; '.join(wrong)}.",
            "Write the name that is read, and the one that your records have: "
            "--keys prompt=problem ground_truth=solution. Columns that are written get other "
            "names with --columns.",
        )
    return tuple(assignments)


def renamed(line: bytes, keys: Keys) -> bytes:
    """A line of which the values stand under the names that are read. What had such a name already
    gives way.

    Raises:
        Damaged: where a key is not there, or the line is no JSON object.
    """
    demand_text(line)
    try:
        values = values_of(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return line  # whatever reads it says what is wrong with it
    found = {ours: value_under(values, theirs) for ours, theirs in keys}
    for ours, theirs in keys:
        if found[ours] is None:
            raise Damaged(f"no `{theirs}`, which --keys {ours}={theirs} names")
        values.pop(theirs, None)
    return msgspec.json.encode(values | found) + b"\n"


def value_under(values: dict[str, msgspec.Raw], key: str) -> msgspec.Raw | None:
    """The value under a key, which is reached through dots unless it holds them itself."""
    if key in values:
        return values[key]
    head, _, rest = key.partition(".")
    if not rest or head not in values:
        return None
    inner: Any = msgspec.json.decode(values[head])
    for name in rest.split("."):
        if not isinstance(inner, dict) or name not in inner:
            return None
        inner = inner[name]
    return msgspec.Raw(msgspec.json.encode(inner))
