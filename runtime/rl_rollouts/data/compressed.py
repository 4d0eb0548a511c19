"""Bytes of plain, gzip and zstd files, and of stdin."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from ..errors import UserError

STDIN = Path("-")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""First bytes of compressed data, for stdin and for files named otherwise."""
BUFFER = 2**20
"""Bytes read at once: larger reads cost less of the processor."""


def is_compressed(path: Path) -> bool:
    """Whether a regular file holds gzip or zstd data."""
    if path.suffix in {".gz", ".zst"}:
        return True
    with path.open("rb") as file:
        return file.read(4).startswith((GZIP, ZSTD))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The content of a file, decompressed.

    Raises:
        UserError: when compressed data is damaged.
    """
    with _raw(path) as raw:
        start = raw.peek(4)
        if path.suffix == ".gz" or start.startswith(GZIP):
            content: io.BufferedIOBase = gzip.open(raw)  # noqa: SIM115 (closed with raw)
        elif path.suffix == ".zst" or start.startswith(ZSTD):
            content = io.BufferedReader(_Zstd(raw), BUFFER)
        else:
            content = raw
        try:
            yield cast(BinaryIO, content)
        except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise UserError(
                f"{path} is damaged: {error}.",
                "Copy or compress it again; no output was changed.",
            ) from None


@contextmanager
def _raw(path: Path) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    with path.open("rb", buffering=BUFFER) as raw:
        yield cast(io.BufferedReader, raw)


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
