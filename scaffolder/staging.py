"""Work on a new folder beside the target, so that it appears whole, or not at all."""

import fcntl
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from scaffolder.errors import CannotWrite, TargetNotEmpty

PREFIX = ".rl-scaffolder-"
"""Of the names of hidden folders. Each is locked by the run that made it, as long as that lives."""


@contextmanager
def folder_for(target: Path) -> Iterator[Path]:
    """Where to render: in the target, or in its parent; folders made on the way go on failure."""
    if target.is_dir():
        yield target
        return
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target.parent
    except BaseException:
        for folder in missing:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new hidden folder in this one, which is gone at the end; those of killed runs go too.

    Raises:
        CannotWrite: when git could not be told of it.
    """
    if "\n" in str(folder):
        raise CannotWrite(folder, OSError(None, "its name has a line break, which git cannot read"))
    for left in left_behind(folder):
        shutil.rmtree(left, ignore_errors=True)
    made, lock = _locked(folder)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> tuple[Path, int]:
    """Make one and lock it; another run may take it for left behind before it is locked."""
    while True:
        made = folder / f"{PREFIX}{secrets.token_hex(4)}"
        made.mkdir(mode=0o700)
        try:
            lock = os.open(made, os.O_RDONLY)
        except FileNotFoundError:
            continue
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made, lock
        os.close(lock)


def left_behind(folder: Path) -> Iterator[Path]:
    """Hidden folders in this one whose runs were killed. Nothing is said of those of others."""
    for path in folder.glob(f"{PREFIX}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path
        except OSError:
            continue
        finally:
            os.close(lock)


@contextmanager
def one_interrupt() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C, SIGTERM and SIGHUP strike once at most, and not after the yielded call.

    A second one would strike while the first one's traces are removed; a late one while the
    finished project is moved into place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    heard: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield lambda: heard.append(0)
    except Exception:
        # A git that Ctrl-C struck too fails on its own account.
        if heard[:1] and heard[0] in signals:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def moved(project: Path, target: Path, staging: Path, kept: Iterable[str] = ()) -> Iterator[None]:
    """Rename into place; into a directory that is there already, entry by entry. If what is done
    then fails, those go again.

    Args:
        kept: names of what is in that directory and stays.

    Raises:
        TargetNotEmpty: when somebody else has put something there in the meantime.
    """
    if not target.exists():
        project.rename(target)
        yield
        return
    there, entries = {path.name for path in target.iterdir()}, sorted(project.iterdir())
    if there != {staging.name, *kept} or any(entry.name in there for entry in entries):
        raise TargetNotEmpty(target)
    places: list[Path] = []
    try:
        for entry in entries:
            entry.rename(target / entry.name)
            places.append(target / entry.name)
        yield
    except BaseException:
        for place in places:
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
        raise
