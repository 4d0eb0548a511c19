"""The folder in which a run does its work, so that a run that was killed can be continued.

.<output>.work/
  plan.json        what is read and how; another plan starts afresh
  span-00000/      one span of the input, complete: it appears under this name at once
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from .errors import UserError
from .write import explained

DONE = "done.json"
PLAN = "plan.json"


class Work:
    """One run's folder. Spans that an earlier run finished under the same plan are kept."""

    def __init__(self, folder: Path, plan: Any) -> None:
        self.folder = folder
        text = msgspec.json.encode(plan)
        noted = folder / PLAN
        if not noted.is_file() or noted.read_bytes() != text:
            for old in folder.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            noted.write_bytes(text)
        for stopped in folder.glob("*.part"):
            shutil.rmtree(stopped, ignore_errors=True)

    def span(self, number: int) -> Path:
        return self.folder / f"span-{number:05}"

    def is_done(self, number: int) -> bool:
        return (self.span(number) / DONE).is_file()


@contextmanager
def working(output: Path, plan: Any) -> Iterator[Work]:
    """A folder beside the output, where there is room for as much data.

    It is removed at the end, and stays only when the run is interrupted.

    Raises:
        UserError: when another run writes the same output.
    """
    folder = output.with_name(f".{output.name}.work")
    with explained(output):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another run is writing {output}.", "Wait for it, or choose another --output."
            ) from None
        try:
            with explained(output):
                work = Work(folder, plan)
            yield work
        except BaseException as error:
            if isinstance(error, Exception) or not any(folder.glob(f"*/{DONE}")):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder under a name of this process until everything is in it."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    try:
        partial.rename(folder)
    except OSError:
        # A process of a run that was killed has finished the same span meanwhile.
        if not (folder / DONE).is_file():
            raise
        shutil.rmtree(partial, ignore_errors=True)
