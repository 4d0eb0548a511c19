"""The folder in which a run does its work, so that a run that was killed can be continued.

.<output>.work/
  plan.json        what is read and how; another plan starts afresh
  span-00000/      one span of the input, complete: it appears under this name at once
"""

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from ..data.read import Span, is_stream
from ..errors import UserError
from .write import explained

DONE = "done.json"
PLAN = "plan.json"
LIBRARY = __name__.partition(".")[0]
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


class Work:
    """One run's folder. Spans that an earlier run finished under the same plan are kept."""

    def __init__(self, folder: Path, lock: int, plan: Any) -> None:
        self.folder = folder
        self.lock = lock
        """The open folder, which nobody else may work in."""
        text = msgspec.json.encode(plan)
        noted = folder / PLAN
        if not noted.is_file() or noted.read_bytes() != text:
            for old in folder.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            noted.write_bytes(text)
        for stopped in folder.glob("*.part"):
            shutil.rmtree(stopped, ignore_errors=True)


def span_folder(folder: Path, number: int) -> Path:
    """Where the work of one span lies, once it is complete."""
    return folder / f"span-{number:05}"


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
                work = Work(folder, lock, plan)
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


def plan_of(files: Sequence[Path], parts: Sequence[Span], chosen: Mapping[str, Any]) -> Any:
    """What is read and how, by which a run knows the work of an earlier one as its own."""
    return {
        "files": [_identity(path) for path in files],
        "spans": parts,
        "chosen": chosen,
        "code": _code(),
    }


def _identity(path: Path) -> list[Any]:
    """What tells a file from a changed one; a stream is never the same again."""
    if is_stream(path):
        return [str(path), os.urandom(8).hex()]
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def _code() -> str:
    """The code that makes the rows: work done by other code is not continued.

    That is all of this library, from wherever it is imported, the scripts beside the one that runs,
    and what else was imported from their folder.
    """
    digest = xxhash.xxh3_64()
    for content in (*_library(resources.files(LIBRARY)), *map(_source, sorted(_own()))):
        digest.update(f"{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _library(folder: Traversable) -> Iterator[bytes]:
    """Also inside a wheel, which no path leads to."""
    for each in sorted(folder.iterdir(), key=lambda found: found.name):
        if each.is_dir():
            yield from _library(each)
        elif each.name.endswith(".py"):
            yield each.read_bytes()


def _own() -> set[Path]:
    """The user's: hooks, and what they import, now or when they are called."""
    main = sys.modules["__main__"]
    folder = Path(getattr(main, "__file__", None) or sys.argv[0]).resolve().parent
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # Environments often lie in a project's folder.
    paths = [Path(file) for file in imported if file and not INSTALLED.search(file)]
    near = {each for each in {p.parent for p in paths} if each.resolve().is_relative_to(folder)}
    return {path.resolve() for path in paths if path.parent in near}.union(folder.glob("*.py"))


def _source(path: Path) -> bytes:
    """Of what is no file, like the inside of a wheel beside the scripts, only the name."""
    try:
        return path.read_bytes()
    except OSError:
        return str(path).encode()
