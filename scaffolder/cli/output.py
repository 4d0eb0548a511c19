"""How commands print: JSON for scripts, tables for people."""

import io
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

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


def say(text: str) -> None:
    """Print lines that fit the terminal."""
    print(fitted(text, sys.stdout))


def fitted(text: str, stream: TextIO) -> str:
    """Lines as wide as the terminal that a stream is, never broken within a word; else as they are.

    What goes on stands below its beginning, and a command of ours stays one for a shell.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size((80, 24)).columns
    return "\n".join(_fitted(line, width) for line in text.split("\n"))


def _fitted(line: str, width: int) -> str:
    from scaffolder.cli.options import wrapped

    if len(line) <= width:
        return line
    if line.lstrip().startswith("rl-scaffolder "):
        return wrapped(line.strip(), width - 2)
    lead = re.match(r" *(?:[-!+#] |[a-z]+  +)?", line)
    indent = " " * (lead.end() if lead else 0)
    plain = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, width, subsequent_indent=indent, **plain)  # type: ignore[arg-type]


def print_json(value: Any) -> None:
    """One JSON document on standard output, in ASCII, so that every terminal can show it."""
    print(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A table on standard output, in colour on a terminal. Brackets in a cell are only brackets."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
