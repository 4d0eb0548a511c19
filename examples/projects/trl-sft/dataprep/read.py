"""Rollout files, line by line: plain, gzip or zstd, several files, folders, or `-` for stdin."""

import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import zstandard

from .errors import Unreadable, UserError
from .progress import progress
from .rollout import Json

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
SIDECARS = re.compile(
    r"_(materialized_inputs|failures|aggregate_metrics|reward_profiling)\.jsonl?(\.gz|\.zst)?$"
    r"|^rejected\.jsonl$"
)
"""Files that NeMo Gym and this package write beside rollouts, and that a `*.jsonl` picks up."""
STDIN = Path("-")
BOM = b"\xef\xbb\xbf"
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""First bytes of compressed data, for stdin and for files named otherwise."""


class Line(msgspec.Struct, frozen=True):
    """One line of an input file, without its line break and byte order mark."""

    file: str
    number: int
    """From 1."""
    offset: int
    """Byte at which the line begins, in the uncompressed file."""
    data: bytes


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


def size_of(files: Iterable[Path]) -> int:
    """Bytes on disk; stdin and pipes count as none."""
    return sum(file.stat().st_size for file in files if file != STDIN)


def name_of(path: Path) -> str:
    """A path as text that can be written, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def lines(files: Sequence[Path], title: str) -> Iterator[Line]:
    """All lines that are not blank, with a progress bar over the bytes read.

    Raises:
        UserError: when a file cannot be read, or when a compressed file is damaged.
    """
    with progress(title, size_of(files) or None, "B") as bar:
        before = 0
        for path in files:
            with reading(path), _raw(path) as raw:
                for line in _lines_of(path, raw):
                    yield line
                    at = raw.tell() if raw.seekable() else line.offset + len(line.data)
                    bar.update(before + at - bar.n)
            before = int(bar.n)


def _lines_of(path: Path, raw: io.BufferedReader) -> Iterator[Line]:
    offset = 0
    try:
        for number, data in enumerate(_decompressed(path, raw), start=1):
            text = data.removeprefix(BOM).rstrip(b"\r\n")
            if text.strip():
                yield Line(name_of(path), number, offset, text)
            offset += len(data)
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UserError(
            f"{path} is damaged after byte {offset} of its content: {error}.",
            "Copy or compress it again; no output was changed.",
        ) from None


@contextmanager
def _raw(path: Path) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    with path.open("rb") as raw:
        yield raw


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


def _decompressed(path: Path, raw: io.BufferedReader) -> Iterable[bytes]:
    start = raw.peek(4)
    if path.suffix == ".gz" or start.startswith(GZIP):
        return gzip.open(raw)
    if path.suffix == ".zst" or start.startswith(ZSTD):
        return io.BufferedReader(_Zstd(raw))
    return raw


class _Zstd(io.RawIOBase):
    """Decompressed zstd, frame after frame.

    zstandard's own reader takes a file that was cut for a whole one.
    """

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._packed = b""
        self._text = b""
        self._whole = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text and self._fill():
            pass
        size = min(len(buffer), len(self._text))
        buffer[:size], self._text = self._text[:size], self._text[size:]
        return size

    def _fill(self) -> bool:
        """Decompress a little more; False at the end."""
        packed = self._packed or self._raw.read(2**14)
        if not packed:
            if not self._whole:
                raise EOFError("it ends in the middle of a zstd frame")
            return False
        if self._whole:
            self._frame = self._decompressor.decompressobj()
        self._text = self._frame.decompress(packed)
        self._packed, self._whole = self._frame.unused_data, self._frame.eof
        return True


def parse(data: bytes) -> Json:
    """One line as an object. NaN and Infinity, which Python writes, are read as such.

    Raises:
        Unreadable: when it is none.
    """
    try:
        record: Any = msgspec.json.decode(data)
    except UnicodeDecodeError:
        raise Unreadable("the line is not UTF-8") from None
    except RecursionError:
        raise Unreadable("the line is nested too deeply") from None
    except msgspec.DecodeError as error:
        record = _parse_leniently(data, str(error))
    if not isinstance(record, dict):
        raise Unreadable(f"the line is a JSON {type(record).__name__}, not an object")
    return record


def _parse_leniently(data: bytes, problem: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable(f"the line is not JSON: {problem}") from None
