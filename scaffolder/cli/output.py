"""How commands print: JSON for scripts, tables for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def on_terminal() -> bool:
    """Whether somebody can be asked. A closed stream is None."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def print_json(value: Any) -> None:
    """One JSON document on standard output, in ASCII, so that every terminal can show it."""
    print(json.dumps(value, indent=2))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    unbroken: str | None = None,
) -> None:
    """A table on standard output, in colour on a terminal. Brackets in a cell are only brackets.

    Args:
        unbroken: the column whose cells stay on one line, however narrow the terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left")
    for place, name in enumerate(columns):
        width = max((len(row[place]) for row in cells), default=0) if name == unbroken else None
        table.add_column(name, no_wrap=name == unbroken, min_width=width, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
