"""What one span leaves of each dataset kind: rows, or where their lines lie, and an index of them.

A stream is one file of rows in the folder of a span: training rows and held-out rows of each kind,
and the prompts of held-out tasks, which all kinds share.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from ..data.filter import TaskRules
from ..data.read import Line, Span
from ..data.rollout import Rollout
from ..data.same import conversation, hash_of, normalised, prompt_hash
from .index import NO_ROW, PAIR, Index, row_id
from .write import BUFFER

TRAIN, EVALUATION, PROMPTS = 0, 1, 2
"""The streams of the first kind; those of the second are 3 and 4, and so on."""
SIDES = 3
PLACE = Struct(">QQ")

Bodies = Callable[[bytes, Rollout], Sequence[bytes]]
"""The rows of a rollout, encoded; its line is the first argument."""


class Making(NamedTuple):
    """How rows of one kind are made, and what is decided between them."""

    bodies: Bodies
    tasks: TaskRules
    indexed: bool
    """Whether rows are compared afterwards."""
    paired: bool = False
    """Whether rows of one prompt are compared."""
    number: int = 0
    """Which of the kinds of a run it is."""
    name: str = ""
    """The kind, where there are several."""

    @property
    def compared(self) -> bool:
        """Whether some rows of a task may stay and others not."""
        return self.paired or self.tasks.needed

    def stream(self, side: int) -> int:
        return self.number * SIDES + side

    def side(self, stream: int) -> int:
        return stream - self.number * SIDES

    def index_name(self, name: str) -> str:
        """The file of an index in the folder of a span: `tasks` or `twins`."""
        return f"{name}-{self.number}"


class Files:
    """The open files in the folder of a span."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self._partitions = partitions
        self._open: dict[str, BinaryIO] = {}
        self._stack = ExitStack()

    def file(self, name: str) -> BinaryIO:
        if name not in self._open:
            opened = (self.folder / name).open("wb", buffering=BUFFER)
            self._open[name] = self._stack.enter_context(opened)
        return self._open[name]

    def index(self, name: str) -> Index:
        index = Index(self.folder / name, self._partitions)
        self._stack.callback(index.close)
        return index

    def close(self) -> None:
        self._stack.close()


class Stream:
    """One stream of a span, opened when it gets its first row."""

    def __init__(self, files: Files, stream: int, span: int) -> None:
        self.rows = 0
        self._file = files.file(rows_name(stream))
        self._first = row_id(stream, span, 0)

    def add(self, body: bytes, line: Line) -> int:  # noqa: ARG002 (for streams of lines)
        """Add a row; returns its id."""
        self._file.write(body)
        if not body.endswith(b"\n"):
            self._file.write(b"\n")
        self.rows += 1
        return self._first + self.rows - 1


class References(Stream):
    """Where lines lie, of which only few will be read again: copying all costs more."""

    def __init__(self, files: Files, stream: int, span: int, *, plain: bool) -> None:
        self.rows = 0
        self._first = row_id(stream, span, 0)
        self._copies = None if plain else files.file(rows_name(stream))
        self._places = files.file(places_name(stream))

    def add(self, body: bytes, line: Line) -> int:  # noqa: ARG002
        start = line.start
        if self._copies is not None:
            start = self._copies.tell()
            self._copies.write(line.data)
        self._places.write(PLACE.pack(start, len(line.data)))
        self.rows += 1
        return self._first + self.rows - 1


class Prompts:
    """The prompts of held-out rollouts, of which one a task will stay."""

    def __init__(self, files: Files, span: int, of: Callable[[Rollout], bytes]) -> None:
        self.of = of
        self._files, self._span = files, span
        self._index = files.index(PROMPTS_INDEX)
        self._stream: Stream | None = None

    def write(self, body: bytes, line: Line, task: int) -> None:
        if self._stream is None:
            self._stream = Stream(self._files, PROMPTS, self._span)
        number = self._stream.add(body, line)
        self._index.add(task, hash_of(body), 0, 0.0, 0, number)

    @property
    def rows(self) -> int:
        return self._stream.rows if self._stream else 0


class Writing:
    """The rows of one kind in one span."""

    def __init__(self, files: Files, making: Making, number: int, span: Span) -> None:
        self.making = making
        self._files, self._number, self._plain = files, number, span.plain
        self._streams: dict[int, Stream] = {}
        self._compared = making.compared
        self._tasks = files.index(making.index_name("tasks")) if making.indexed else None
        self._twins = None
        if making.tasks.duplicates != "keep":
            self._twins = files.index(making.index_name("twins"))

    def write(
        self, side: int, bodies: Sequence[bytes], line: Line, rollout: Rollout, task: int
    ) -> None:
        """Write the rows of a rollout.

        Args:
            side: TRAIN or EVALUATION.
            task: hash of the rollout's.
        """
        stream = self._streams.get(side) or self._opened(side)
        for body in bodies:
            number = stream.add(body, line)
            if self._compared:
                self._note(body, number, rollout, task)
            elif self._tasks is not None:
                self._tasks.add(task, 0, 0, 0.0, 0, number)

    def count(self, rollout: Rollout) -> None:
        """A rollout that stays out, but is one of its task when that is judged as a whole."""
        if self._tasks is not None and not (rollout.masked or rollout.failed):
            self._tasks.add(hash_of(rollout.task), 0, 0, rollout.reward or 0.0, 0, NO_ROW)

    def counts(self) -> dict[int, int]:
        """Rows of each stream."""
        return {self.making.stream(side): each.rows for side, each in self._streams.items()}

    def _opened(self, side: int) -> Stream:
        stream = self.making.stream(side)
        if self.making.paired:
            opened: Stream = References(self._files, stream, self._number, plain=self._plain)
        else:
            opened = Stream(self._files, stream, self._number)
        self._streams[side] = opened
        return opened

    def _note(self, body: bytes, number: int, rollout: Rollout, task: int) -> None:
        """What a row will be compared by."""
        rules, paired = self.making.tasks, self.making.paired
        order = hash_of(body)
        group = category = 0
        if paired and rollout.worse is None:
            group = hash_of(rollout.tools, prompt_hash(rollout))
        elif paired:
            group, category = order, PAIR
        if rules.balance is not None:
            category = hash_of(category_of(rollout, rules.balance)) >> 32
        if self._tasks is not None:
            self._tasks.add(task, order, group, rollout.reward or 0.0, category, number)
        if self._twins is not None:
            text = conversation(rollout)
            twin = hash_of(text if rules.duplicates == "exact" else normalised(text))
            self._twins.add(twin, order, 0, 0.0, 0, number)


PROMPTS_INDEX = "tasks-prompts"


def rows_name(stream: int) -> str:
    """The file of one stream's rows in the folder of a span."""
    return f"rows-{stream}.jsonl"


def places_name(stream: int) -> str:
    """The file that says where the line of each row begins, and how long it is."""
    return f"places-{stream}"


def category_of(rollout: Rollout, key: str) -> bytes:
    """The agent, or the value under a key of the metadata."""
    if key == "agent":
        return (rollout.agent or "").encode()
    return bytes(rollout.metadata.get(key, b""))
