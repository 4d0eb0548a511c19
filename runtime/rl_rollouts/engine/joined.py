"""Rows of finished spans, one after the other, while later spans are still being read.

At the end, copying and bringing to the disk is time in which all processors but one are idle.

.<output>.work/
  joined-0.jsonl   the rows of stream 0 of the first spans
  joined.json      how many spans these are, and how long each such file is
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import UserError
from .stage import Report
from .streams import rows_name
from .work import span_folder
from .write import append

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

NOTE = "joined.json"
FILES = "joined-*.jsonl"


class _State(msgspec.Struct):
    spans: int = 0
    sizes: dict[int, int] = {}
    """Bytes, of each stream."""


class Joined:
    """Takes the spans of a run in order; those that a killed run took are not taken again."""

    def __init__(self, folder: Path, streams: frozenset[int], writer: "ThreadPoolExecutor") -> None:
        self._folder = folder
        self._streams = streams
        self._note = folder / NOTE
        self._writer = writer
        self._written: Future[None] | None = None
        self._state = _State()
        if self._note.is_file():
            self._state = msgspec.json.decode(self._note.read_bytes(), type=_State)
        for path in folder.glob(FILES):  # what was begun after the note is not whole
            noted = self._state.sizes.get(_stream_of(path), 0)
            if path.stat().st_size < noted:  # the machine stopped before it was on the disk
                raise UserError(
                    f"What an earlier run left in {folder} is damaged.",
                    "Run the same command again: it starts afresh.",
                    exit_code=1,
                )
            os.truncate(path, noted)

    def take(self, number: int, report: Report) -> None:
        """Append the rows of a span, and remove its own."""
        if number < self._state.spans:
            return
        span = span_folder(self._folder, number)
        streams = [each for each, rows in report.rows.items() if rows and each in self._streams]
        sources = {stream: span / rows_name(stream) for stream in streams}
        for stream, source in sources.items():
            path = self._folder / joined_name(stream)
            path.touch()
            with path.open("r+b") as file:
                file.seek(0, os.SEEK_END)
                append(source, file)
                self._state.sizes[stream] = file.tell()
        self._state.spans = number + 1
        new = self._note.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._state))
        new.replace(self._note)
        for source in sources.values():
            source.unlink()
        self._begin_writing()

    def finish(self) -> None:
        """Wait for the disk, whose error is told only once."""
        if self._written is not None:
            self._written.result()

    def _begin_writing(self) -> None:
        """Have the disk work meanwhile."""
        if self._written is not None and not self._written.done():
            return
        self.finish()
        self._written = self._writer.submit(_write_out, sorted(self._folder.glob(FILES)))


def joined_name(stream: int) -> str:
    """The file of a stream's rows in the folder of a run."""
    return f"joined-{stream}.jsonl"


def _stream_of(path: Path) -> int:
    return int(path.stem.removeprefix("joined-"))


def _write_out(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def joining(folder: Path, streams: frozenset[int]) -> Iterator[Joined]:
    """Rows of some streams are taken in a `with` block, and all are there at its end."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as writer:
        joined = Joined(folder, streams, writer)
        yield joined
        joined.finish()
