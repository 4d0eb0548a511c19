"""The same functions over many parts of the input: in this process, in several, or on Ray."""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from ..errors import UserError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Part = TypeVar("Part")
Result = TypeVar("Result")
EngineName = Literal["local", "ray"]


class Engine(Protocol):
    """Applies a function to parts; the results come in the order of the parts."""

    alone: bool
    """Whether everything happens in this process."""

    def map(
        self, function: Callable[[Part], Result], parts: Sequence[Part]
    ) -> Iterable[Result]: ...


def start(
    name: EngineName, workers: int, lock: int | None = None
) -> AbstractContextManager[Engine]:
    """An engine, to be used in a `with` block.

    Args:
        workers: processes on this machine; Ray takes what its cluster has.
        lock: an open file that belongs to this process alone.
    """
    if name == "ray":
        return nullcontext(_Ray())
    return nullcontext(_Alone()) if workers == 1 else _processes(workers, lock)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Alone:
    alone = True

    def map(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        return map(function, parts)


class _Processes:
    alone = False

    def __init__(self, pool: "ProcessPoolExecutor") -> None:
        self._pool = pool

    def map(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        return self._pool.map(function, parts)


@contextmanager
def _processes(workers: int, lock: int | None) -> Iterator[Engine]:
    """Copies of this process where that is safe, which need not import anything again.

    It is safe on Linux as long as there is one thread. Ctrl-C goes to this one, which ends the
    others: they ignore it. Imports stand here because most runs are of one process.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    forked = sys.platform == "linux" and threading.active_count() == 1
    context = get_context("fork" if forked else "spawn")
    begin = partial(_begin, lock if forked else None)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = ProcessPoolExecutor(workers, context, begin)
        pool.submit(int)  # all copies are made now
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        yield _Processes(pool)
        pool.shutdown()
    except BrokenProcessPool:
        raise UserError(
            "A process was killed while it worked; Linux does that when memory is used up.",
            "Run the same command again, with fewer --workers if memory was short.",
            exit_code=1,
        ) from None
    finally:
        # After an error nobody waits for what is still being computed. The pool's thread may then
        # trip over what it finds cancelled, which is of no interest to anybody.
        hook, threading.excepthook = threading.excepthook, lambda _: None
        for process in active_children():
            process.terminate()
        pool.shutdown(cancel_futures=True)
        threading.excepthook = hook


def _begin(lock: int | None) -> None:
    """A copy of a process ends when it is told to or when its parent does, and holds no lock that
    could outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if lock is not None:
        os.close(lock)


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    if parent := parent_process():
        parent.join()
        os._exit(1)


class _Ray:
    """Ray Data: each part is one row of a dataset, each call one task of the cluster.

    What tasks write has to be where this process finds it: on a cluster, inputs and outputs belong
    on a file system that all nodes share.
    """

    alone = False

    def __init__(self) -> None:
        import logging

        try:
            import ray
        except ImportError:
            raise UserError(
                "--engine ray needs Ray, which is not installed.",
                "pip install 'ray[data]', or leave out --engine.",
            ) from None
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        logging.disable(logging.WARNING)  # Ray Data tells each step otherwise.
        settings = ray.data.DataContext.get_current()
        settings.enable_progress_bars = False
        settings.execution_options.preserve_order = True

    def map(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        import ray

        try:
            ray.cloudpickle.dumps(function)
        except Exception as reason:
            problem = f"What these scripts use cannot be sent to Ray's workers: {reason}."
            remedy = "Open files and connections inside functions, not beside them."
            raise UserError(problem, remedy, exit_code=1) from None
        rows = [{"part": pickle.dumps(part)} for part in parts]
        dataset = ray.data.from_items(rows, override_num_blocks=max(1, len(rows)))
        for row in dataset.map(partial(_apply, function, str(Path.cwd()))).iter_rows():
            result, error = pickle.loads(row["result"])
            if error is not None:
                raise error
            yield result


def _apply(function: Callable[[Any], Any], folder: str, row: dict[str, bytes]) -> dict[str, bytes]:
    """One task, in the folder that relative paths are meant from. Errors that a person can mend
    come back as they are; Ray would wrap them."""
    result, failed = None, None
    try:
        os.chdir(folder)
        result = function(pickle.loads(row["part"]))
    except (UserError, OSError) as error:
        failed = error
    return {"result": pickle.dumps((result, failed))}
