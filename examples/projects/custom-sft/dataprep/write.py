"""Files that appear only when they are whole."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from .errors import UserError
from .read import Line

MOST_REASONS = 50
"""In the table of reasons; a reason may quote the rollout, and so differ from line to line."""
LONGEST_REASON = 300


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
            token = secrets.token_hex(4)
            self._partial = self._target.with_name(f".{self._target.name}.{token}.part")
            self._file: BinaryIO = self._partial.open("xb")
        return self

    def write(self, row: Any) -> None:
        """Write one row, encoded as JSON unless it is bytes already."""
        with explained(self.path):
            self._file.write(row if isinstance(row, bytes) else self._encoder.encode(row))
            self._file.write(b"\n")
        self.rows += 1

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


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Output]]:
    """Files of one run: none gets its name before all are on the disk, the last one last."""
    with ExitStack() as stack:
        outputs = [stack.enter_context(Output(path)) for path in reversed(paths)][::-1]
        yield outputs
        for output in outputs:
            output.finish()


class Rejected:
    """`rejected.jsonl`: what was set aside, with file, line, byte offset and reason.

    The file is written when there is something to say, also when the run fails because of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: dict[str, int] = {}
        """How many lines for each reason, without its details."""
        self._output: Output | None = None

    def __enter__(self) -> "Rejected":
        return self

    def add(self, line: Line, reason: str) -> None:
        reason = "".join(c if c.isprintable() else "?" for c in reason[:LONGEST_REASON])
        general = reason.split(":", maxsplit=1)[0]
        if general not in self.reasons and len(self.reasons) >= MOST_REASONS:
            general = f"other reasons, see {self.path.name}"
        self.reasons[general] = self.reasons.get(general, 0) + 1
        if self._output is None:
            self._output = Output(self.path).__enter__()
        self._output.write(
            {"file": line.file, "line": line.number, "offset": line.offset, "reason": reason}
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._output is not None:
            failed = None if isinstance(error, UserError) else kind
            self._output.__exit__(failed, error, trace)


def beside(output: Path, ending: str) -> Path:
    """A file that belongs to an output: training_data.jsonl, training_data.eval.jsonl."""
    return output.with_name(output.name.removesuffix(".jsonl") + ending)


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
