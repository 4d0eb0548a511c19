"""What a file is in which no rollout was found, and what to do with it."""

import codecs
import csv
from pathlib import Path

from ..data.compressed import opened
from ..data.read import find, reading

LOOKED_AT = 65536
"""Bytes at its beginning."""
FEWEST = 2
"""Columns of a table."""


def form_of_all(path: str) -> tuple[str, str] | None:
    """What files are of which none holds JSON lines, and the remedy; None where one does."""
    found = [(file, form_of(file)) for file in find([path])]
    if not all(form for _, form in found):
        return None
    file, form = found[0]
    more = f", and {len(found) - 1:,} more files are no better" if len(found) > 1 else ""
    assert form
    return f"{file} is {form[0]}{more}: there is no rollout in it.", form[1]


def form_of(path: Path) -> tuple[str, str] | None:
    """The form of a file that holds no JSON lines, and the remedy; None for one that does."""
    with reading(path), opened(path) as content:
        start = content.read(LOOKED_AT)
    if not start.strip():
        return "empty", "Write rollouts into it, one JSON object a line."
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "no text", "Give JSON lines, JSON arrays or parquet; gzip and zstd are unpacked."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(line[0] in "{[" for line in lines):
        return None
    if columns := _columns(lines):
        read = f"pandas.read_csv({str(path)!r})"
        write = "to_json('rollouts.jsonl', orient='records', lines=True)"
        return f"a table with the columns {', '.join(columns)}", f"Write JSON lines: {read}.{write}"
    return f"text that begins with {lines[0]!r:.60}", "Write one JSON object a line."


def _columns(lines: list[str]) -> list[str]:
    """The head of a table, if lines are one."""
    for delimiter in (",", "\t", ";"):
        head, *rows = csv.reader(lines[:3], delimiter=delimiter)
        if len(head) >= FEWEST and all(len(row) == len(head) for row in rows):
            return head[:12]
    return []
