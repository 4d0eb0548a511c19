"""Files that appear only when they are whole."""

import errno
import glob
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from ..errors import UserError

BUFFER = 2**18
"""Bytes written at once: they are copied while the processor still has them at hand."""


class Output:
    """A JSONL file under a temporary name, renamed when the block ends without an error.

    A run that is killed leaves `.<name>.<random>.part` behind, which nothing reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> "Output":
        with explained(self.path):
            self._target = self.path.resolve()
            if self._target.exists() and not self._target.is_file():
                raise UserError(f"{self.path} is no file.", "Choose another --output.")
            self._target.parent.mkdir(parents=True, exist_ok=True)
            token = os.urandom(4).hex()
            self._partial = self._target.with_name(f".{self._target.name}.{token}.part")
            self._file: BinaryIO = self._partial.open("xb", buffering=BUFFER)
        return self

    def write(self, row: Any) -> None:
        """Write one row, encoded as JSON unless it is bytes already."""
        with explained(self.path):
            self._file.write(row if isinstance(row, bytes) else self._encoder.encode(row))
            self._file.write(b"\n")
        self.rows += 1

    def take(self, path: Path, rows: int) -> None:
        """Append a file of rows, and remove it; the first one costs no copy."""
        with explained(self.path):
            if self.rows == 0:
                self._file.close()
                # Renaming over a file makes some file systems write everything out at once.
                self._partial.unlink()
                path.rename(self._partial)
                self._file = self._partial.open("r+b", buffering=BUFFER)
                self._file.seek(0, os.SEEK_END)
            else:
                append(path, self._file)
                path.unlink()
        self.rows += rows

    def finish(self) -> None:
        """Bring everything to the disk, so that only the new name can still fail."""
        with explained(self.path):
            if not self._file.closed:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
                with explained(self.path):
                    self._partial.replace(self._target)
        finally:
            # Closing writes what is left, which fails once more on a full disk.
            with suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)


def append(path: Path, file: BinaryIO) -> None:
    """Copy to the end of a file, inside the kernel where it can, which is several times cheaper."""
    file.flush()
    with path.open("rb") as source:
        try:
            while os.copy_file_range(source.fileno(), file.fileno(), 2**30):
                pass
        except (AttributeError, OSError) as reason:
            if getattr(reason, "errno", None) == errno.ENOSPC:
                raise
            shutil.copyfileobj(source, file, BUFFER)
    file.seek(0, os.SEEK_END)


@contextmanager
def together(outputs: Sequence[Output]) -> Iterator[None]:
    """Files of one run: none gets its name before all are on the disk, the last one last."""
    with ExitStack() as stack:
        for output in reversed(outputs):
            stack.enter_context(output)
        yield
        for output in outputs:
            output.finish()


def shard_names(path: Path, count: int) -> list[Path]:
    """training_data-00001-of-00003.jsonl and so on; one file keeps its name."""
    if count == 1:
        return [path]
    return [path.with_stem(f"{path.stem}-{n:05}-of-{count:05}") for n in range(1, count + 1)]


def files_of(path: Path) -> list[Path]:
    """The files of an output: itself, or the shards that stand in its place; none if neither."""
    return [path] if path.is_file() else shards_of(path)


def shards_of(path: Path) -> list[Path]:
    """The shards of an output that are there, in order."""
    pattern = f"{glob.escape(path.stem)}-[0-9]*-of-[0-9]*{glob.escape(path.suffix)}"
    return sorted(path.parent.glob(pattern))


def beside(output: Path, ending: str) -> Path:
    """A file that belongs to an output: training_data.jsonl, training_data.eval.jsonl."""
    name = output.name
    for suffix in (".jsonl", ".parquet"):
        name = name.removesuffix(suffix)
    return output.with_name(name + ending)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of the disk in words.

    Raises:
        UserError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Choose another --output or make room on the disk; no output was changed.",
            exit_code=1,
        ) from None
