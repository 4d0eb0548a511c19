"""Rollout files, line by line: plain, gzip or zstd, several files, folders, or `-` for stdin; JSON
arrays and parquet too."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import xxhash

from ..errors import UserError
from .compressed import STDIN, is_compressed, opened
from .containers import BOM, holds_lines, rows_in

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
SIDECARS = re.compile(
    r"_(materialized_inputs|failures|aggregate_metrics|reward_profiling)\.jsonl?(\.gz|\.zst)?$"
    r"|^rejected\.jsonl$"
)
"""Files that NeMo Gym and this package write beside rollouts, and that a `*.jsonl` picks up."""
Advance = Callable[[int, int], object]
BATCH = 2**20
"""Bytes of lines that are counted at once."""


class Span(msgspec.Struct, frozen=True):
    """A part of a file that one process reads: the lines that begin in it."""

    file: str
    start: int = 0
    end: int | None = None
    """Bytes; None reads to the end, as for compressed files, where no byte range can be found."""
    plain: bool = True
    """A regular file of lines, not compressed: single lines of it can be read again."""

    @property
    def is_file(self) -> bool:
        """Whether it is a whole file, as it lies on the disk."""
        return self.plain and self.start == 0 and self.end is None


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a span, without a byte order mark."""

    number: int
    """From 1, in the span."""
    offset: int
    """Byte at which the line begins, in the uncompressed file."""
    start: int
    """Byte at which its data begins: after a byte order mark."""
    data: bytes
    """With one line break at its end, also where the file has another, or none."""
    ended: bool
    """False for the last line of a file whose writer was stopped."""


def find(inputs: Sequence[str]) -> list[Path]:
    """The rollout files among files and folders, each once.

    Sidecar files and files that were given twice are left out, and said so.

    Raises:
        UserError: for paths that are not there, and when nothing is left.
    """
    given: list[Path] = []
    missing: list[str] = []
    for name in inputs:
        path = Path(name)
        with reading(path):
            if path == STDIN or path.exists():
                given += _expand(path)
            else:
                missing.append(name)
    if missing:
        raise UserError(
            f"There is no {', no '.join(missing)}.", "Give files or folders with rollouts."
        )
    found = list({path.resolve(): path for path in given}.values())
    kept = [path for path in found if not SIDECARS.search(path.name)]
    if len(found) < len(given):
        print(f"{len(given) - len(found)} files were given twice; read once", file=sys.stderr)
    _say_skipped([path.name for path in found if SIDECARS.search(path.name)])
    if not kept:
        raise UserError(
            f"There are no rollouts in {', '.join(inputs)}.",
            f"Give files, or folders that hold {', '.join(SUFFIXES)}.",
        )
    return kept


def _expand(path: Path) -> list[Path]:
    """The files of a folder, without hidden ones: a stopped run may have left some."""
    if path == STDIN or not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.name.endswith(SUFFIXES)
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _say_skipped(names: Sequence[str]) -> None:
    if names:
        shown = ", ".join([*names[:3], "..."] if len(names) > 3 else names)
        print(f"skipped {len(names)} files that lie beside rollouts: {shown}", file=sys.stderr)


def is_stream(path: Path) -> bool:
    """Whether a path is stdin or a pipe, which can be read only once."""
    return path == STDIN or not path.is_file()


def size_of(files: Iterable[Path]) -> int:
    """Bytes on disk; stdin and pipes count as none."""
    return sum(file.stat().st_size for file in files if not is_stream(file))


def name_of(path: Path) -> str:
    """A path as text that can be written, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def spans(files: Sequence[Path], size: int) -> list[Span]:
    """All files in parts of about `size` bytes, in order; compressed files and pipes stay whole."""
    parts = []
    for path in files:
        with reading(path):
            if is_stream(path) or is_compressed(path) or not holds_lines(path):
                parts.append(Span(str(path), plain=False))
                continue
            total = path.stat().st_size
        count = max(1, round(total / size))
        cuts = [total * part // count for part in range(count)]
        parts += [Span(str(path), *cut) for cut in zip(cuts, [*cuts[1:], None], strict=True)]
    return parts


def size_on_disk(span: Span) -> int:
    """Bytes; compressed ones of a compressed file."""
    end = size_of([Path(span.file)]) if span.end is None else span.end
    return end - span.start


def lines(
    span: Span, advance: Advance = lambda *_: None, digest: "xxhash.xxh3_128 | None" = None
) -> Iterator[Line]:
    """The lines of a span that are not blank.

    Args:
        advance: told now and then how many bytes and lines more have been read, uncompressed.
        digest: updated with everything that is read.

    Raises:
        UserError: when a file cannot be read, or when a compressed file is damaged.
    """
    path = Path(span.file)
    number = 0
    with reading(path), opened(path) as content:
        offset = span.start
        if offset:
            content.seek(offset - 1)
            offset += len(content.readline()) - 1
        told, known = offset, 0
        rows = content if offset else rows_in(path, content)
        for data in rows:  # One at a time, into memory that is still in the processor's cache.
            if span.end is not None and offset >= span.end:
                break
            number += 1
            if digest is not None:
                digest.update(data)
            if data.startswith(b"{") and data.endswith(b"}\n"):
                yield Line(number, offset, offset, data, True)
            else:
                text = data.rstrip(b"\r\n").removeprefix(BOM)
                start = offset + len(data.rstrip(b"\r\n")) - len(text)
                if text and not text.isspace():
                    yield Line(number, offset, start, text + b"\n", data.endswith(b"\n"))
            offset += len(data)
            if offset - told >= BATCH:
                advance(offset - told, number - known)
                told, known = offset, number
        advance(offset - told, number - known)


def where(span: Span, data: bytes, number: int | None = None) -> str:
    """A line in words: `line 17 of rollouts.jsonl`. To count it, the file is read up to it again.

    Args:
        number: of the line in the span, where that is known.
    """
    path = Path(span.file)
    if number is None or span.start:
        alike = data.rstrip(b"\r\n")
        again = iter(()) if is_stream(path) else lines(Span(span.file, plain=span.plain))
        number = next((line.number for line in again if line.data.rstrip(b"\r\n") == alike), None)
    file = "stdin" if path == STDIN else name_of(path)
    return f"line {number} of {file}" if number else f"a line of {file}"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors of the disk in words.

    Raises:
        UserError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot read {path}: {error.strerror or error}.",
            "Make it readable, or leave it out of --input.",
        ) from None
