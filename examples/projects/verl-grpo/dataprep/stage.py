"""What one process does with one span of the input: read, normalise, filter, write rows."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

import msgspec
import xxhash

from .choose import PROMPTS
from .errors import Damaged, SetAside, Unusable
from .filter import Rules, TaskRules, head_rules, removed_by, rollout_rules
from .index import NO_ROW, Entry, Index, row_id
from .normalise import Shape, head_of, rollout_of
from .read import Advance, Line, Span, lines
from .record import demand_text, parse
from .rollout import Head, Rollout
from .same import conversation, hash_of, hash_of_same, normalised
from .tokens import rollout_counter
from .work import DONE, span_folder, whole
from .write import BUFFER, explained

MOST_REASONS = 50
"""In the table of reasons; a reason may quote the rollout, and so differ from line to line."""
LONGEST_REASON = 300
OTHER = "other reasons, see rejected.jsonl"

Rows = Callable[[bytes, Rollout], Iterable[tuple[int, bytes]]]
"""The rows of a rollout, encoded: each with the stream (the output) that it belongs to. The line
is the first argument."""


class Job(NamedTuple):
    """What is done with every rollout."""

    output: Path
    shape: Shape
    rules: Rules
    tasks: TaskRules
    rows: Rows
    indexed: bool
    """Whether rows are compared afterwards."""
    paired: bool = False
    """Whether rows of one prompt are compared."""
    tokenizer: str | None = None
    """Model whose tokens are counted, for rules that need it."""
    partitions: int = 1

    @property
    def compared(self) -> bool:
        """Whether some rows of a task may stay and others not."""
        return self.paired or self.tasks.needed


class Report(msgspec.Struct):
    """What became of the lines of one span."""

    bytes: int = 0
    lines: int = 0
    """Blank ones included."""
    digest: str | None = None
    """XXH3_128 of the file, when the span is all of it."""
    read: int = 0
    cut: int = 0
    """Last lines of files whose writer was stopped, which are rejected but no sign of damage."""
    rejected: dict[str, int] = {}
    aside: dict[str, int] = {}
    removed: dict[str, int] = {}
    rows: dict[int, int] = {}
    """Of each stream."""


def run_span(
    numbered: tuple[int, Span], job: Job, folder: Path, advance: Advance = lambda *_: None
) -> Report:
    """Do the work of one span, unless it is done, and leave it in its folder."""
    number, span = numbered
    place = span_folder(folder, number)
    with explained(job.output):
        if (place / DONE).is_file():
            return msgspec.json.decode((place / DONE).read_bytes(), type=Report)
        with whole(place) as partial, _Span(partial, number, span, job) as work:
            report = work.report

            def count(more_bytes: int, more_lines: int) -> None:
                report.bytes += more_bytes
                report.lines += more_lines
                advance(more_bytes, more_lines)

            digest = xxhash.xxh3_128() if span.is_file else None
            for line in lines(span, count, digest):
                work.take(line)
            report.digest = digest.hexdigest() if digest else None
            (partial / DONE).write_bytes(msgspec.json.encode(report))
        return report


class _Span:
    """Open files and counts of one span."""

    def __init__(self, folder: Path, number: int, span: Span, job: Job) -> None:
        self.report = Report(rejected={}, aside={}, removed={}, rows={})
        self._folder = folder
        self._number = number
        self._span = span
        self._job = job
        self._compared = job.compared
        self._head_rules = list(head_rules(job.rules))
        self._rules = list(rollout_rules(job.rules, rollout_counter(job.tokenizer)))
        if job.tasks.windowed:
            self._rules = [*self._head_rules, *self._rules]
        self._files: dict[str, BinaryIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "_Span":
        job = self._job
        self._entries = self._index("tasks") if job.indexed else None
        self._twins = self._index("twins") if job.tasks.duplicates != "keep" else None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self, line: Line) -> None:
        """Do everything with one line. What is removed by its head is not read further."""
        self.report.read += 1
        job, data = self._job, line.data
        try:
            record = parse(data)
            head: Head | Rollout = head_of(record)
            removed = None if job.tasks.windowed else removed_by(head, self._head_rules)
            if removed is None:
                head = rollout = rollout_of(record, head, data, job.shape)
                removed = removed_by(rollout, self._rules)
                rows = () if removed else tuple(job.rows(data, rollout))
                for _, body in rows:
                    demand_text(body)
        except Unusable as reason:
            self._leave_out(line, reason)
        except UnicodeDecodeError:
            self._leave_out(line, Damaged("the line is not UTF-8"))
        except RecursionError:
            self._leave_out(line, Damaged("the record is nested too deeply"))
        else:
            if removed:
                add(self.report.removed, {removed: 1})
                self._count(head)
            else:
                for stream, body in rows:
                    self._write(stream, body, line, rollout)

    def _count(self, rollout: Head | Rollout) -> None:
        """A rollout that stays out, but is one of its task when that is judged as a whole."""
        if (
            self._entries
            and isinstance(rollout, Rollout)
            and not (rollout.masked or rollout.failed)
        ):
            task = hash_of(rollout.task)
            self._entries.add(Entry(task, 0, 0, rollout.reward, 0, NO_ROW))

    def _write(self, stream: int, body: bytes, line: Line, rollout: Rollout) -> None:
        job, row = self._job, self.report.rows.get(stream, 0)
        self.report.rows[stream] = row + 1
        if job.paired and stream != PROMPTS:
            self._refer_to(stream, line)
        else:
            file = self._file(rows_name(stream))
            file.write(body)
            if not body.endswith(b"\n"):
                file.write(b"\n")
        if self._entries is None:
            return
        number = row_id(stream, self._number, row)
        order = hash_of(body) if self._compared or stream == PROMPTS else 0
        group = hash_of(rollout.tools, hash_of_same(rollout.prompt)) if job.paired else 0
        category = 0
        if job.tasks.balance is not None:
            category = hash_of(category_of(rollout, job.tasks.balance)) >> 32
        task = hash_of(rollout.task)
        self._entries.add(Entry(task, order, group, rollout.reward, category, number))
        if self._twins is not None and stream != PROMPTS:
            text = conversation(rollout)
            twin = hash_of(text if job.tasks.duplicates == "exact" else normalised(text))
            self._twins.add(Entry(twin, order, 0, 0.0, 0, number))

    def _refer_to(self, stream: int, line: Line) -> None:
        """Note where a line lies, of which only few will be read again: copying all costs more."""
        start = line.start
        if not self._span.plain:
            file = self._file(rows_name(stream))
            start = file.tell()
            file.write(line.data)
        self._file(places_name(stream)).write(PLACE.pack(start, len(line.data)))

    def _leave_out(self, line: Line, reason: Unusable) -> None:
        """Count the reason without its details, and note the line."""
        words = str(reason)[:LONGEST_REASON]
        if isinstance(reason, Damaged) and not line.ended:
            words = f"the last line was cut off while it was written: {words}"[:LONGEST_REASON]
            self.report.cut += 1
        words = "".join(c if c.isprintable() else "?" for c in words)
        counts = self.report.aside if isinstance(reason, SetAside) else self.report.rejected
        add(counts, {words.split(":", maxsplit=1)[0]: 1})
        row = {"file": self._span.file, "line": line.number, "offset": line.offset, "reason": words}
        self._file("rejected.jsonl").write(_encode(row) + b"\n")

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            opened = (self._folder / name).open("wb", buffering=BUFFER)
            self._files[name] = self._stack.enter_context(opened)
        return self._files[name]

    def _index(self, name: str) -> Index:
        index = Index(self._folder / name, self._job.partitions)
        self._stack.callback(index.close)
        return index


_encode = msgspec.json.Encoder().encode


def rows_name(stream: int) -> str:
    """The file of one stream's rows in the folder of a span."""
    return f"rows-{stream}.jsonl"


def places_name(stream: int) -> str:
    """The file that says where the line of each row begins, and how long it is."""
    return f"places-{stream}"


PLACE = Struct(">QQ")


def add(counts: dict[str, int], more: dict[str, int]) -> None:
    """Add counts of reasons, the rarest ones under one name once there are too many."""
    for words, count in more.items():
        known = words in counts or len(counts) < MOST_REASONS
        name = words if known else OTHER
        counts[name] = counts.get(name, 0) + count


def category_of(rollout: Rollout, key: str) -> bytes:
    """The agent, or the value under a key of the metadata."""
    if key == "agent":
        return (rollout.agent or "").encode()
    return bytes(rollout.metadata.get(key, b""))
