"""What a project does in its own way: plain functions in its own scripts.

They are called in every process that works, some of them twice for the same line, and count in
tables and manifests like any rule. A run is not continued across a change of them.
"""

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec

from ..config import project
from ..errors import Damaged, SetAside, UserError
from .called import HookFailed, called
from .content import NO_IMAGES, is_text
from .forms import is_input
from .named import renamed
from .normalise import Shape, head_of, place, rollout_of
from .record import Record, demand_text, parse
from .rollout import Head, Json, Rollout
from .rows import Row
from .same import said
from .settle import settle

Read = Callable[[Json], Rollout | None]
Change = Callable[[Rollout], Rollout | None]
Keep = Callable[[Rollout], bool]


class Hooks(NamedTuple):
    """A project's functions; None where it has none."""

    read: Read | None = None
    """A record that the library cannot read becomes a rollout; None: it is none."""
    change: Change | None = None
    """A rollout becomes what rows are made of; None leaves it out."""
    keep: Keep | None = None
    """Whether a rollout stays."""


NO_HOOKS = Hooks()


def in_use(hooks: Hooks) -> Hooks:
    """Without a `change` that returns what it is given, which then costs nothing."""
    code = getattr(hooks.change, "__code__", None)
    idle = code is not None and code.co_code == _as_it_is.__code__.co_code
    return hooks._replace(change=None) if idle else hooks


def _as_it_is(rollout: Rollout) -> Rollout:
    return rollout


def understand(line: bytes, shape: Shape, hooks: Hooks) -> Rollout:
    """A line as `normalise` reads it, or else as the project does.

    Raises:
        Damaged, SetAside: with the reason.
        HookFailed: when a function of the project fails.
    """
    head, record = head_and_record(line, shape, hooks)
    if record is not None:
        demand_text(line)
    return rest_of(record, head, line, shape, hooks)


def head_and_record(line: bytes, shape: Shape, hooks: Hooks) -> tuple[Head, Record | None]:
    """What a line says about itself, and the record for `rest_of`. Where the project has read the
    line there is no record, and the head is all of the rollout.

    Raises:
        as `understand` does.
    """
    try:
        named = renamed(line, shape.keys) if shape.keys else line
        record = parse(named)
        head = head_of(record, named, shape)
    except Damaged as reason:
        return _read_otherwise(line, shape, hooks, reason), None
    if hooks.read is not None and (head.reward is None or is_input(record)):
        # The library reads it, and the project may read more of it.
        with suppress(Damaged):
            return _read_otherwise(line, shape, hooks, Damaged("no reward, or no response")), None
    return head, record


def rest_of(record: Record | None, head: Head, line: bytes, shape: Shape, hooks: Hooks) -> Rollout:
    """The whole rollout.

    Raises:
        as `understand` does.
    """
    if record is None:
        assert isinstance(head, Rollout)
        return head
    try:
        named = renamed(line, shape.keys) if shape.keys else line
        return rollout_of(record, head, named, shape)
    except Damaged as reason:
        return _read_otherwise(line, shape, hooks, reason)


def _read_otherwise(line: bytes, shape: Shape, hooks: Hooks, reason: Damaged) -> Rollout:
    """What the project's `read` makes of a line; the reason stands where it makes nothing of it."""
    if hooks.read is None:
        raise reason
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise reason from None
    if not isinstance(record, dict):
        raise reason
    demand_text(line)
    found = called(hooks.read, record)
    if found is None:
        raise reason
    rollout = _whole(found, hooks.read)
    messages = [*rollout.prompt, *rollout.completion]
    if shape.images == "drop" and not all(is_text(message.content) for message in messages):
        raise SetAside(NO_IMAGES)
    place(messages, shape.reasoning)
    return rollout


def change(rollout: Rollout, hooks: Hooks) -> Rollout | None:
    """The rollout as the project wants it; None where it leaves it out."""
    if hooks.change is None:
        return rollout
    before = _text(rollout) if rollout.turn_tokens else None
    worse = None if rollout.worse is None else change(rollout.worse, hooks)
    found = called(hooks.change, rollout)
    if found is None or (worse is None and rollout.worse is not None):
        return None
    changed = _whole(found, hooks.change)
    changed.worse = worse
    if before is not None and _text(changed) != before:
        changed.turn_tokens = None  # of what stands there now they are not known
    return changed


def keeps(keep: Keep, rollout: Rollout) -> bool:
    """Whether the project keeps a rollout."""
    found = called(keep, rollout)
    if found is not True and found is not False:
        raise HookFailed(keep, f"returned {found!r:.80}, which is neither True nor False")
    return found


def own_row(row: Row) -> Row:
    """A project's own way to make rows, whose faults are said in words."""
    return partial(_made, row)


def _made(row: Row, built: Any) -> Any:
    made = called(row, built)
    if not isinstance(made, Mapping | msgspec.Struct):
        given = f"returned {made!r:.80}"
        raise HookFailed(row, f"{given}, which is no dict and no msgspec.Struct")
    try:
        msgspec.json.encode(made)
    except (TypeError, ValueError, RecursionError) as error:
        raise HookFailed(row, f"returned a row that is no JSON: {error}") from error
    return made


def project_read() -> Read | None:
    """The function `read` of the prepare_for_*.py of the project at hand, if it has one.

    Raises:
        UserError: when that script cannot be imported.
    """
    found = project()
    script = found.folder / f"prepare_for_{found.framework}.py"
    if not found.framework or not script.is_file():
        return None
    if str(found.folder) not in sys.path:
        sys.path.insert(0, str(found.folder))
    try:
        read: Read | None = getattr(importlib.import_module(script.stem), "read", None)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        at = f" (line {frames[-1].lineno})" if frames[-1].filename == str(script) else ""
        problem = f"{script.name} cannot be imported: {type(error).__name__}: {error}{at}."
        remedy = "Mend it: its function `read` says how lines of your own format are read."
        raise UserError(problem, remedy, exit_code=1) from error
    return read


def _whole(found: Any, hook: Callable[..., Any]) -> Rollout:
    """What a function of the project returned, as rows can be made of it."""
    if not isinstance(found, Rollout):
        raise HookFailed(hook, f"returned {found!r:.80}, which is neither a Rollout nor None")
    try:
        problem = settle(found)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"with a value that is no JSON: {error}"
    if problem:
        raise HookFailed(hook, f"returned a rollout {problem}")
    return found


def _text(rollout: Rollout) -> bytes:
    return said([*rollout.prompt, *rollout.completion])
