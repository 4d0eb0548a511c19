"""How commands print: JSON for scripts, tables for people."""

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scaffolder.errors import CannotPrint


class _Stream(io.TextIOWrapper):
    """Standard output, where it is an error of its own when it takes no more."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise CannotPrint(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise CannotPrint(error) from error


def use_streams() -> None:
    """Show everything on every terminal, and know when standard output takes no more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(out := sys.stdout, io.TextIOWrapper):
        lines, through = out.line_buffering, out.write_through
        sys.stdout = _Stream(out.detach(), out.encoding, "backslashreplace", None, lines, through)


@contextmanager
def after(done: str) -> Iterator[None]:
    """Print what comes after something was done; where that fails, the error says what was done."""
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except CannotPrint as error:
        error.remedy = error.remedy or done
        raise


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
