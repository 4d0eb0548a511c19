"""From rows in the folders of spans to the rows of an output: choose, copy, and pair."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..data.build import pair
from ..data.called import HookFailed
from ..data.filter import TaskRules
from ..data.hooks import Hooks, change, head_and_record, rest_of
from ..data.normalise import Shape
from ..data.read import Span
from ..data.rollout import Rollout
from ..errors import Unusable
from .choose import (
    PairRules,
    Picks,
    by_task,
    choose,
    count_tasks,
    first_of_each,
    holds,
    pairs,
    twins,
)
from .engine import Engine
from .index import NO_ROW, PACKED, Entry, packed_in_order, place_of, read
from .joined import joined_name
from .stage import Report, rarely_collecting
from .streams import (
    EVALUATION,
    PLACE,
    PROMPTS,
    PROMPTS_INDEX,
    TRAIN,
    Making,
    places_name,
    rows_name,
)
from .write import BUFFER

OPEN_FILES = 32
"""Pairs of them."""
Part = tuple[Path, int]
"""A file of rows, and how many there are."""


class Spans(NamedTuple):
    """What the first stage left."""

    folders: Sequence[Path]
    parts: Sequence[Span]
    reports: Sequence[Report]
    partitions: int
    joined: Path
    """The folder with the rows of all spans in one file a stream, where all of them stay."""
    joined_streams: frozenset[int] = frozenset()

    def rows(self, stream: int) -> int:
        return sum(report.rows.get(stream, 0) for report in self.reports)

    def entries(self, name: str, partition: int) -> Iterator[Entry]:
        """One partition of an index, in order."""
        return map(Entry._make, map(PACKED.unpack, self.packed(name, partition)))

    def packed(self, name: str, partition: int) -> Iterator[bytes]:
        """The same, as it was written."""
        paths = [folder / name for folder in self.folders]
        return packed_in_order(read(paths, partition, self.partitions), self.folders[0].parent)


def pick(spans: Spans, making: Making, engine: Engine) -> Picks:
    """The rows of a kind that its rules leave; where all stay, only how many tasks there are."""
    dropped = _duplicates(spans, making, engine)
    found = Picks()
    work = partial(_choose, spans, making.index_name("tasks"), making.tasks, dropped)
    for picks in engine.map(work, range(spans.partitions)):
        found.extend(picks)
    return found


def _duplicates(spans: Spans, making: Making, engine: Engine) -> "array[int]":
    """Sorted ids of the rows that are the same as another."""
    dropped = array("Q")
    if making.tasks.duplicates != "keep":
        work = partial(_twins, spans, making.index_name("twins"))
        for ids in engine.map(work, range(spans.partitions)):
            dropped.extend(ids)
    return array("Q", sorted(dropped))


def _twins(spans: Spans, index: str, partition: int) -> "array[int]":
    return twins(spans.entries(index, partition))


def _choose(
    spans: Spans, index: str, rules: TaskRules, dropped: "array[int]", partition: int
) -> Picks:
    if not rules.needed:
        return count_tasks(spans.packed(index, partition))
    return choose(spans.entries(index, partition), rules, dropped)


def prompts(spans: Spans, engine: Engine) -> list[Part]:
    """One prompt of each held-out task."""
    found = Picks()
    for picks in engine.map(partial(_prompts, spans), range(spans.partitions)):
        found.extend(picks)
    return picked(spans, found, PROMPTS, engine)


def _prompts(spans: Spans, partition: int) -> Picks:
    return first_of_each(spans.packed(PROMPTS_INDEX, partition))


def left(spans: Spans, making: Making, picks: Picks, side: int, engine: Engine) -> list[Part]:
    """The rows of one side that the rules of a kind leave."""
    stream = making.stream(side)
    if making.tasks.needed:
        return picked(spans, picks, stream, engine)
    return everything(spans, stream)


def everything(spans: Spans, stream: int) -> list[Part]:
    """All rows of a stream, in the order of the input."""
    if stream in spans.joined_streams:
        rows = spans.rows(stream)
        return [(spans.joined / joined_name(stream), rows)] if rows else []
    found = []
    for folder, report in zip(spans.folders, spans.reports, strict=True):
        if rows := report.rows.get(stream, 0):
            found.append((folder / rows_name(stream), rows))
    return found


def picked(spans: Spans, picks: Picks, stream: int, engine: Engine) -> list[Part]:
    """The chosen rows of a stream, in the order of the input."""
    by_span: dict[int, array[int]] = {}
    for number in picks.ids:
        of_stream, span, row = place_of(number)
        if of_stream == stream:
            by_span.setdefault(span, array("Q")).append(row)
    parts = []
    for span, unordered in sorted(by_span.items()):
        rows = array("Q", sorted(unordered))
        whole = len(rows) == spans.reports[span].rows[stream]
        parts.append((spans.folders[span] / rows_name(stream), None if whole else rows, len(rows)))
    paths = engine.map(_copied, [(path, rows) for path, rows, _ in parts])
    return [(path, count) for path, (_, _, count) in zip(paths, parts, strict=True)]


def _copied(part: "tuple[Path, array[int] | None]") -> Path:
    """A file with the given rows only."""
    source, rows = part
    if rows is None:
        return source
    target = source.with_suffix(".picked")
    wanted = iter(rows)
    following = next(wanted)
    with source.open("rb", BUFFER) as lines, target.open("wb", BUFFER) as chosen:
        for number, line in enumerate(lines):
            if number == following:
                chosen.write(line)
                following = next(wanted, -1)
    return target


class Pairing(NamedTuple):
    """How the rollouts of a prompt become preference rows."""

    rules: PairRules
    whole: bool
    row: Callable[[Any], Any]
    shape: Shape
    hooks: Hooks


def paired(
    spans: Spans, pairing: Pairing, making: Making, folder: Path, engine: Engine
) -> tuple[Picks, dict[int, list[Part]]]:
    """Preference rows of each side."""
    found, parts = Picks(), {TRAIN: [], EVALUATION: []}  # type: ignore[var-annotated]
    dropped = _duplicates(spans, making, engine)
    work = partial(_pairs_of_partition, spans, pairing, making, dropped, folder)
    for picks, rows in engine.map(work, range(spans.partitions)):
        found.extend(picks)
        for side, part in rows.items():
            parts[side].append(part)
    return found, parts


def _pairs_of_partition(
    spans: Spans,
    pairing: Pairing,
    making: Making,
    dropped: "array[int]",
    folder: Path,
    partition: int,
) -> tuple[Picks, dict[int, Part]]:
    picks, rows = Picks(), {TRAIN: 0, EVALUATION: 0}
    paths = {side: folder / f"pairs-{side}-{partition:04}" for side in rows}
    with ExitStack() as stack:
        stack.callback(_opened.cache_clear)
        stack.enter_context(rarely_collecting())
        files = {
            making.stream(side): stack.enter_context(path.open("wb", BUFFER))
            for side, path in paths.items()
        }
        for task in by_task(spans.entries(making.index_name("tasks"), partition)):
            written = 0
            for better, worse in pairs(_of_rollouts(task, dropped, picks), pairing.rules):
                stream = place_of(better.id)[0]
                row, problem = _pair_row(spans, pairing, better, worse)
                if problem:
                    picks.removed[problem] += 1
                    continue
                files[stream].write(row + b"\n")
                rows[making.side(stream)] += 1
                written += 1
            picks.tasks += 1
            picks.empty += not written
    return picks, {side: (paths[side], count) for side, count in rows.items() if count}


def _pair_row(
    spans: Spans, pairing: Pairing, better: Entry, worse: Entry
) -> tuple[bytes, str | None]:
    """The row of a pair, or why there is none."""
    try:
        both = pair(*_sides(spans, better, worse, pairing), whole=pairing.whole)
        if both is None:
            return b"", "pairs that part where the model did not write"
        row = _encode(pairing.row(both))
    except HookFailed as failed:
        raise failed.on(spans.parts[place_of(better.id)[1]], _line(spans, better)) from failed
    except Unusable as reason:
        return b"", f"pairs: {reason}"
    except RecursionError:
        return b"", "pairs: the record is nested too deeply"
    return row, None


_encode = msgspec.json.Encoder().encode


def _of_rollouts(entries: Iterable[Entry], dropped: "array[int]", picks: Picks) -> Iterator[Entry]:
    """The entries of a task that hold rollouts."""
    for entry in entries:
        if entry.id == NO_ROW:
            continue
        if dropped and holds(dropped, entry.id):
            picks.removed["duplicates"] += 1
        else:
            yield entry


def _sides(spans: Spans, better: Entry, worse: Entry, pairing: Pairing) -> tuple[Rollout, Rollout]:
    """Two rollouts, or the two sides of a record that is a pair."""
    first = _rollout(spans, better, pairing)
    return first, first.worse or _rollout(spans, worse, pairing)


def _rollout(spans: Spans, entry: Entry, pairing: Pairing) -> Rollout:
    """A rollout once more, as it was when it was written down; its line is known to be UTF-8."""
    line, shape, hooks = _line(spans, entry), pairing.shape, pairing.hooks
    head, record = head_and_record(line, shape, hooks)
    found = change(rest_of(record, head, line, shape, hooks), hooks)
    if found is None:
        raise Unusable("a side was left out when it was read again")
    return found


def _line(spans: Spans, entry: Entry) -> bytes:
    """Read the line of a rollout again, where it lies."""
    stream, number, row = place_of(entry.id)
    places, source = _opened(spans.folders[number], spans.parts[number], stream)
    start, size = PLACE.unpack(os.pread(places.fileno(), PLACE.size, row * PLACE.size))
    return os.pread(source.fileno(), size, start)


@lru_cache(OPEN_FILES)
def _opened(folder: Path, span: Span, stream: int) -> tuple[Any, Any]:
    """Where the lines of a stream lie, and what they lie in; closed when it is forgotten."""
    source = Path(span.file) if span.plain else folder / rows_name(stream)
    return (folder / places_name(stream)).open("rb", 0), source.open("rb", 0)
