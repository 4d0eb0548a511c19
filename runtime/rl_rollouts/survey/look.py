"""What rollouts hold, before anything is done with them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..data.called import HookFailed
from ..data.hooks import NO_HOOKS, Hooks, understand
from ..data.named import Keys, renamed
from ..data.normalise import Shape
from ..data.read import Advance, Span, find, is_stream, lines, name_of, size_of, spans
from ..engine.engine import processors, start
from ..engine.progress import progress
from ..engine.run import LARGEST_SPAN, SMALLEST_SPAN, SPANS_PER_WORKER
from ..errors import Damaged, Unusable
from . import SOLVED_FROM, Survey


def survey_rollouts(
    inputs: Sequence[str],
    solved_from: float = SOLVED_FROM,
    *,
    workers: int = 0,
    limit: int | None = None,
    hooks: Hooks = NO_HOOKS,
    keys: Keys = (),
) -> Survey:
    """Read rollouts and count what is in them; nothing is written.

    Args:
        inputs: files, folders, or `-` for stdin.
        solved_from: lowest reward that counts as solved.
        workers: processes; 0 takes one a processor, for inputs that are worth it.
        limit: bytes that are read, in equal parts of all files; None reads all.
        hooks: of these `read` counts.
        keys: other names of what is read.

    Raises:
        UserError: for paths that are not there or cannot be read.
    """
    files = find(inputs)
    total = size_of(files)
    if any(map(is_stream, files)) or total < 2 * SMALLEST_SPAN or limit is not None:
        workers = 1
    workers = workers or min(8, processors())
    size = max(SMALLEST_SPAN, min(LARGEST_SPAN, total // (SPANS_PER_WORKER * workers)))
    found = Survey(solved_from)
    share = None if limit is None else limit // len(files)
    shape = Shape(tokens=True, keys=keys)
    step = partial(_survey_span, solved_from=solved_from, limit=share, shape=shape, hooks=hooks)
    with progress("reading", total or None, "B") as bar, start("local", workers) as engine:
        if engine.alone:
            step = partial(step, advance=lambda more, _: bar.update(more))
        parts = spans(files, LARGEST_SPAN if workers == 1 else size)
        for part, read in engine.map(step, parts):
            found.merge(part)
            if not engine.alone:
                bar.update(read)
    return found


def _survey_span(
    span: Span,
    solved_from: float,
    limit: int | None,
    shape: Shape,
    hooks: Hooks,
    advance: Advance = lambda *_: None,
) -> tuple[Survey, int]:
    """The survey of one span, and how many bytes it has."""
    survey, size = Survey(solved_from), 0
    for line in lines(span, advance):
        size += len(line.data)
        if limit is not None and line.offset >= limit:
            break
        try:
            rollout = understand(line.data, shape, hooks)
        except Unusable as reason:
            survey.reject(str(reason), damaged=isinstance(reason, Damaged) and line.ended)
        except HookFailed as failed:
            raise failed.on(span, line.data, line.number) from failed
        else:
            survey.add(rollout, _as_read(line.data, shape.keys))
    survey.note_file(name_of(Path(span.file)))
    return survey, size


def _as_read(line: bytes, keys: Keys) -> bytes:
    """A line under the names that are read, also where the project has read it."""
    try:
        return renamed(line, keys) if keys else line
    except Damaged:
        return line
