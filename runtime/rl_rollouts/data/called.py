"""How a project's own functions are called: what goes wrong in one is said with its place."""

import inspect
import pickle
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import Unusable, UserError
from .read import Span, where

Hook = Callable[..., Any]


class HookFailed(UserError):
    """A function of the project raised an error, or returned what it may not."""

    def __init__(self, hook: Hook, problem: str, place: str = "") -> None:
        self.said = f"{name_of_hook(hook)} {problem} ({place or _defined(hook)})"
        super().__init__(f"{self.said}.", "Mend it; no output was changed.", exit_code=1)

    def on(self, span: Span, data: bytes, number: int | None = None) -> UserError:
        """The same, with the line that it happened on: see `read.where`."""
        place = where(span, data, number)
        return UserError(f"{self.said}, on {place}.", self.remedy, exit_code=1)


def called(hook: Callable[[Any], Any], value: Any) -> Any:
    """What a function of the project returns.

    Raises:
        Unusable, UserError: that it raised itself, the first to leave the line out.
        HookFailed: when it fails.
    """
    try:
        return hook(value)
    except (Unusable, UserError):
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise HookFailed(hook, f"raised {words:.300}", _raised(hook, error)) from error


def name_of_hook(hook: Hook) -> str:
    while isinstance(hook, partial):
        hook = hook.func
    return getattr(hook, "__name__", type(hook).__name__)


def demand_sendable(hooks: Iterable[Hook | None]) -> None:
    """Refuse what other processes cannot be told; small inputs need none, large ones do.

    Raises:
        UserError: for what is not defined at the top level of a script.
    """
    for hook in filter(None, hooks):
        try:
            pickle.dumps(hook)
        except Exception as error:
            raise UserError(
                f"{name_of_hook(hook)} cannot be sent to the processes that work: {error}.",
                "Write it as a function at the top level of its script: def my_row(rollout): ...",
            ) from None


def _raised(hook: Hook, error: BaseException) -> str:
    """The last line of the project's that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    folder = Path(_file(hook)).parent
    own = [frame for frame in frames if Path(frame.filename).parent == folder]
    for frame in (own or frames)[-1:]:
        return f"{Path(frame.filename).name}, line {frame.lineno}"
    return _defined(hook)


def _defined(hook: Hook) -> str:
    """Where a function begins."""
    code = getattr(inspect.unwrap(hook), "__code__", None)
    return f"{Path(_file(hook)).name}, line {code.co_firstlineno}" if code else _file(hook)


def _file(hook: Hook) -> str:
    code = getattr(inspect.unwrap(hook), "__code__", None)
    return code.co_filename if code else str(getattr(hook, "__module__", "?"))
