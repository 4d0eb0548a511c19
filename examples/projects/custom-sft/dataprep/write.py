"""Files that appear only when they are whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from .errors import UserError
from .read import Line


class Output:
    """A JSONL file under a temporary name, renamed when the block ends without an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> "Output":
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(
                dir=self.path.parent, prefix=f".{self.path.name}."
            )
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._partial = Path(partial)
        self._partial.chmod(0o644)
        return self

    def write(self, row: Any) -> None:
        """Write one row, encoded as JSON unless it is bytes already."""
        with _explained(self.path):
            self._file.write(row if isinstance(row, bytes) else self._encoder.encode(row))
            self._file.write(b"\n")
        self.rows += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with _explained(self.path):
                self._file.close()
            if kind is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


class Rejected:
    """`rejected.jsonl`: what was set aside, with file, line, byte offset and reason.

    The file is written when there is something to say, also when the run fails afterwards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: dict[str, int] = {}
        """How many lines for each reason, without its details."""
        self._output: Output | None = None

    def add(self, line: Line, reason: str) -> None:
        general = reason.split(":", maxsplit=1)[0]
        self.reasons[general] = self.reasons.get(general, 0) + 1
        if self._output is None:
            self._output = Output(self.path).__enter__()
        self._output.write(
            {"file": line.file, "line": line.number, "offset": line.offset, "reason": reason}
        )

    def save(self) -> None:
        if self._output is not None:
            self._output.__exit__(None, None, None)


def beside(output: Path, ending: str) -> Path:
    """A file that belongs to an output: training_data.jsonl, training_data.eval.jsonl."""
    return output.with_name(output.name.removesuffix(".jsonl") + ending)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Choose another --output or make room on the disk; no output was changed.",
            exit_code=1,
        ) from None
