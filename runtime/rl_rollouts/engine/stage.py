"""What one process does with one span of the input: read, normalise, filter, write rows."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import xxhash

from ..data.called import HookFailed, name_of_hook
from ..data.filter import Rules, head_rules, removed_by, rollout_rules
from ..data.hooks import Hooks, change, head_and_record, keeps, rest_of
from ..data.keys import unread
from ..data.named import renamed
from ..data.normalise import Shape
from ..data.read import Advance, Line, Span, lines
from ..data.record import demand_text, is_utf8
from ..data.rollout import Rollout
from ..data.same import hash_of
from ..data.split import held_out
from ..data.tokens import rollout_counter
from ..errors import NO_REWARD, Damaged, Unusable
from .streams import EVALUATION, PROMPTS, TRAIN, Files, Making, Prompts, Writing
from .work import DONE, span_folder, whole
from .write import explained

MOST_REASONS = 50
"""In the table of reasons; a reason may quote the rollout, and so differ from line to line."""
LONGEST_REASON = 300
OTHER = "other reasons, see rejected.jsonl"
LEFT_OUT = (Unusable, UnicodeDecodeError, RecursionError)
"""What is a reason to leave a line out, see `as_reason`."""
LOOKED_AT = 50
"""Lines of a span whose keys are looked at."""
COLLECT_EVERY = 50_000
"""Objects; a rollout is some twenty."""


class Job(NamedTuple):
    """What is done with every rollout."""

    output: Path
    shape: Shape
    hooks: Hooks
    rules: Rules
    makings: tuple[Making, ...]
    """The rows of each kind."""
    eval_share: float = 0.0
    """Share of prompts held out."""
    prompt: Callable[[Rollout], bytes] | None = None
    """The prompt of a held-out rollout as a row; None where nothing is held out."""
    tokenizer: str | None = None
    """Model whose tokens are counted, for rules that need it."""
    partitions: int = 1

    @property
    def rewarded(self) -> bool:
        """Whether a rule looks at the reward, so that there must be one."""
        limits = self.rules.min_reward, self.rules.max_reward
        return limits != (None, None) or self.windowed

    @property
    def windowed(self) -> bool:
        """Whether all rollouts of a task count, those too that other rules remove."""
        return any(making.tasks.windowed for making in self.makings)


class LeftOut(msgspec.Struct):
    """Lines of which nothing is made, by reason."""

    rejected: dict[str, int] = {}
    aside: dict[str, int] = {}
    cut: int = 0
    """Last lines of files whose writer was stopped, which are rejected but no sign of damage."""


class Report(msgspec.Struct):
    """What became of the lines of one span."""

    kinds: list[LeftOut]
    """Of each kind: rollouts that are good, but no row of it."""
    bytes: int = 0
    lines: int = 0
    """Blank ones included."""
    digest: str | None = None
    """XXH3_128 of the file, when the span is all of it."""
    read: int = 0
    out: LeftOut = msgspec.field(default_factory=LeftOut)
    """Lines that are no rollouts for any kind."""
    removed: dict[str, int] = {}
    rows: dict[int, int] = {}
    """Of each stream."""
    unread: list[str] = []
    """Keys of its first rollouts that nothing reads, and that look decisive."""


def run_span(
    numbered: tuple[int, Span], job: Job, folder: Path, advance: Advance = lambda *_: None
) -> Report:
    """Do the work of one span, unless it is done, and leave it in its folder."""
    number, span = numbered
    place = span_folder(folder, number)
    with explained(job.output):
        if (place / DONE).is_file():
            return msgspec.json.decode((place / DONE).read_bytes(), type=Report)
        with whole(place) as partial, rarely_collecting():
            with _Span(partial, number, span, job) as work:
                report = work.read(advance)
            (partial / DONE).write_bytes(msgspec.json.encode(report))
        return report


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Records hold no cycles: to look for some every few of them is a tenth of all the work."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Span:
    """Open files and counts of one span."""

    def __init__(self, folder: Path, number: int, span: Span, job: Job) -> None:
        self.report = Report([LeftOut() for _ in job.makings])
        self._span = span
        self._job = job
        self._files = Files(folder, job.partitions)
        self._prompts = Prompts(self._files, number, job.prompt) if job.prompt else None
        self._writings = [Writing(self._files, each, number, span) for each in job.makings]
        self._head_rules = tuple(head_rules(job.rules))
        self._rules = tuple(rollout_rules(job.rules, rollout_counter(job.tokenizer)))
        # Tasks are judged with all of their rollouts, and rules see rollouts as they were changed.
        if job.windowed or job.hooks.change is not None:
            self._head_rules, self._rules = (), (*self._head_rules, *self._rules)
        if (keep := job.hooks.keep) is not None:
            rule = left_out_by(keep), lambda rollout: not keeps(keep, rollout)
            self._rules = (*self._rules, rule)
        self._changed = left_out_by(job.hooks.change) if job.hooks.change else None

    def __enter__(self) -> "_Span":
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def read(self, advance: Advance) -> Report:
        """Do everything with every line."""
        report, span = self.report, self._span

        def count(more_bytes: int, more_lines: int) -> None:
            report.bytes += more_bytes
            report.lines += more_lines
            advance(more_bytes, more_lines)

        digest = xxhash.xxh3_128() if span.is_file else None
        for line in lines(span, count, digest):
            self._take(line)
        report.digest = digest.hexdigest() if digest else None
        for writing in self._writings:
            report.rows |= writing.counts()
        if self._prompts is not None and self._prompts.rows:
            report.rows[PROMPTS] = self._prompts.rows
        return report

    def _take(self, line: Line) -> None:
        self.report.read += 1
        if self.report.read <= LOOKED_AT:
            self._note_unread(line.data)
        try:
            rollout = self._kept(line)
            if rollout is not None:
                self._write(line, rollout)
        except HookFailed as failed:
            raise failed.on(self._span, line.data, line.number) from failed
        except LEFT_OUT as error:
            self._leave_out(line, error)

    def _note_unread(self, data: bytes) -> None:
        noted = self.report.unread
        with suppress(*LEFT_OUT, msgspec.DecodeError, ValueError):
            keys = self._job.shape.keys
            found = unread(renamed(data, keys) if keys else data)
            noted += (key for key, decisive in found if decisive and key not in noted)

    def _kept(self, line: Line) -> Rollout | None:
        """The rollout of a line; None where a rule removes it. What is removed by its head is not
        read further."""
        job, data = self._job, line.data
        head, record = head_and_record(data, job.shape, job.hooks)
        if head.reward is None and job.rewarded:
            raise Damaged(NO_REWARD)
        removed = removed_by(head, self._head_rules)
        if removed is not None:
            add(self.report.removed, {removed: 1})
            return None
        found = rest_of(record, head, data, job.shape, job.hooks)
        rollout = change(found, job.hooks)
        removed = removed_by(rollout, self._rules) if rollout else self._changed
        if removed is None:
            return rollout
        add(self.report.removed, {removed: 1})
        for writing in self._writings:
            writing.count(found)
        return None

    def _write(self, line: Line, rollout: Rollout) -> None:
        """Rows of each kind, and the prompt of a rollout that is held out."""
        made, prompts = self._made(line, rollout), self._prompts
        if not made:
            return
        task, side = hash_of(rollout.task), TRAIN
        if prompts is not None and held_out(rollout, self._job.eval_share):
            side = EVALUATION
            try:
                prompt = prompts.of(rollout)
                demand_text(prompt)
            except LEFT_OUT as error:
                for writing, _ in made:
                    self._leave_out(line, error, writing.making)
                return
            prompts.write(prompt, line, task)
        for writing, bodies in made:
            writing.write(side, bodies, line, rollout, task)

    def _made(self, line: Line, rollout: Rollout) -> list[tuple[Writing, Sequence[bytes]]]:
        """Rows of each kind that has some. What is made of a line that is UTF-8 is UTF-8."""
        made = []
        sound = len(self._writings) > 1 and is_utf8(line.data)
        for writing in self._writings:
            try:
                bodies = writing.making.bodies(line.data, rollout)
                if not sound:
                    for body in bodies:
                        demand_text(body)
            except LEFT_OUT as error:
                self._leave_out(line, error, writing.making)
            else:
                made.append((writing, bodies))
        return made

    def _leave_out(self, line: Line, error: Exception, making: Making | None = None) -> None:
        """Count the reason without its details, and note the line.

        Args:
            making: of the kind that the line is left out of; None for all.
        """
        out = self.report.kinds[making.number] if making else self.report.out
        reason = as_reason(error)
        words = str(reason)[:LONGEST_REASON]
        if isinstance(reason, Damaged) and not line.ended:
            words = f"the last line was cut off while it was written: {words}"[:LONGEST_REASON]
            out.cut += 1
        words = "".join(c if c.isprintable() else "?" for c in words)
        counts = out.rejected if isinstance(reason, Damaged) else out.aside
        add(counts, {words.split(":", maxsplit=1)[0]: 1})
        row = {"file": self._span.file, "line": line.number, "offset": line.offset, "reason": words}
        if making and making.name:
            row["kind"] = making.name
        self._files.file("rejected.jsonl").write(_encode(row) + b"\n")


_encode = msgspec.json.Encoder().encode


def as_reason(error: Exception) -> Unusable:
    """Why a line is left out, in words."""
    if isinstance(error, Unusable):
        return error
    if isinstance(error, UnicodeDecodeError):
        return Damaged("the line is not UTF-8")
    return Damaged("the record is nested too deeply")


def left_out_by(hook: Callable[..., Any]) -> str:
    """The words of the table for what a function of the project leaves out."""
    return f"left out by {name_of_hook(hook)}"


def add(counts: dict[str, int], more: dict[str, int]) -> None:
    """Add counts of reasons, the rarest ones under one name once there are too many."""
    for words, count in more.items():
        known = words in counts or len(counts) < MOST_REASONS
        name = words if known else OTHER
        counts[name] = counts.get(name, 0) + count
