"""From rows in the folders of spans to the rows of an output: choose, copy, and pair."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .build import pair
from .choose import PROMPTS, PairRules, Picks, by_task, choose, choose_all, holds, pairs, twins
from .engine import Engine
from .errors import Unusable
from .filter import TaskRules
from .index import NO_ROW, PACKED, Entry, packed_in_order, place_of, read
from .joined import joined_name
from .normalise import Shape, head_of, rollout_of
from .read import Span
from .record import parse
from .rollout import Rollout
from .stage import PLACE, Report, places_name, rows_name
from .write import BUFFER

EVALUATION = 1
"""The stream of held-out rows; training rows are stream 0."""
OPEN_FILES = 64
Part = tuple[Path, int]
"""A file of rows, and how many there are."""


class Spans(NamedTuple):
    """What the first stage left."""

    folders: Sequence[Path]
    parts: Sequence[Span]
    reports: Sequence[Report]
    partitions: int
    joined: Path | None = None
    """The folder with the rows of all spans in one file a stream, where all of them stay."""

    def rows(self, stream: int) -> int:
        return sum(report.rows.get(stream, 0) for report in self.reports)

    def entries(self, name: str, partition: int) -> Iterator[Entry]:
        """One partition of an index, in order."""
        return map(Entry._make, map(PACKED.unpack, self.packed(name, partition)))

    def packed(self, name: str, partition: int) -> Iterator[bytes]:
        """The same, as it was written."""
        paths = [folder / name for folder in self.folders]
        return packed_in_order(read(paths, partition, self.partitions), self.folders[0].parent)


def pick(spans: Spans, rules: TaskRules, engine: Engine) -> Picks:
    """The rows that the rules leave; of rows that all stay only the prompts."""
    dropped = _duplicates(spans, rules, engine)
    found = Picks()
    for picks in engine.map(partial(_choose, spans, rules, dropped), range(spans.partitions)):
        found.extend(picks)
    return found


def _duplicates(spans: Spans, rules: TaskRules, engine: Engine) -> "array[int]":
    """Sorted ids of the rows that are the same as another."""
    dropped = array("Q")
    if rules.duplicates != "keep":
        for ids in engine.map(partial(_twins, spans), range(spans.partitions)):
            dropped.extend(ids)
    return array("Q", sorted(dropped))


def _twins(spans: Spans, partition: int) -> "array[int]":
    return twins(spans.entries("twins", partition))


def _choose(spans: Spans, rules: TaskRules, dropped: "array[int]", partition: int) -> Picks:
    if not rules.needed:
        return choose_all(spans.packed("tasks", partition))
    return choose(spans.entries("tasks", partition), rules, dropped)


def left(spans: Spans, rules: TaskRules, picks: Picks, stream: int, engine: Engine) -> list[Part]:
    """The rows of a stream that the rules leave."""
    return picked(spans, picks, stream, engine) if rules.needed else everything(spans, stream)


def everything(spans: Spans, stream: int) -> list[Part]:
    """All rows of a stream, in the order of the input."""
    if spans.joined is not None:
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


def paired(
    spans: Spans, pairing: Pairing, rules: TaskRules, folder: Path, engine: Engine
) -> tuple[Picks, dict[int, list[Part]]]:
    """Preference rows of each stream, and the held-out prompts among the picks."""
    found, parts = Picks(), {0: [], EVALUATION: []}  # type: ignore[var-annotated]
    dropped = _duplicates(spans, rules, engine)
    work = partial(_pairs_of_partition, spans, pairing, dropped, folder)
    for picks, rows in engine.map(work, range(spans.partitions)):
        found.extend(picks)
        for stream, part in rows.items():
            parts[stream].append(part)
    return found, parts


def _pairs_of_partition(
    spans: Spans, pairing: Pairing, dropped: "array[int]", folder: Path, partition: int
) -> tuple[Picks, dict[int, Part]]:
    picks, rows = Picks(), {0: 0, EVALUATION: 0}
    paths = {stream: folder / f"pairs-{stream}-{partition:04}" for stream in rows}
    files = {stream: path.open("wb", BUFFER) for stream, path in paths.items()}
    try:
        for task in by_task(spans.entries("tasks", partition)):
            written = 0
            for better, worse in pairs(_of_rollouts(task, dropped, picks), pairing.rules):
                stream = place_of(better.id)[0]
                row, problem = _pair_row(spans, pairing, better, worse)
                if problem:
                    picks.removed[problem] += 1
                    continue
                files[stream].write(row + b"\n")
                rows[stream] += 1
                written += 1
            picks.tasks += 1
            picks.empty += not written
    finally:
        _opened.cache_clear()
        for file in files.values():
            file.close()
    return picks, {stream: (paths[stream], count) for stream, count in rows.items() if count}


def _pair_row(
    spans: Spans, pairing: Pairing, better: Entry, worse: Entry
) -> tuple[bytes, str | None]:
    """The row of a pair, or why there is none."""
    try:
        sides = (_rollout(spans, each, pairing.shape) for each in (better, worse))
        both = pair(*sides, whole=pairing.whole)
        if both is None:
            return b"", "pairs that part where the model did not write"
        row = _encode(pairing.row(both))
    except Unusable as reason:
        return b"", f"pairs: {reason}"
    except RecursionError:
        return b"", "pairs: the record is nested too deeply"
    return row, None


_encode = msgspec.json.Encoder().encode


def _of_rollouts(entries: Iterable[Entry], dropped: "array[int]", picks: Picks) -> Iterator[Entry]:
    """The entries of a task that hold rollouts; its first prompt goes to the picks."""
    prompt = None
    for entry in entries:
        if entry.id == NO_ROW:
            continue
        if dropped and holds(dropped, entry.id):
            picks.removed["duplicates"] += 1
        elif place_of(entry.id)[0] != PROMPTS:
            yield entry
        elif prompt is None:
            prompt = entry
            picks.add(entry)


def _rollout(spans: Spans, entry: Entry, shape: Shape) -> Rollout:
    """Read a rollout again, where its line lies."""
    stream, number, row = place_of(entry.id)
    span, folder = spans.parts[number], spans.folders[number]
    places = _opened(folder / places_name(stream))
    start, size = PLACE.unpack(os.pread(places.fileno(), PLACE.size, row * PLACE.size))
    source = _opened(Path(span.file) if span.plain else folder / rows_name(stream))
    line = os.pread(source.fileno(), size, start)
    record = parse(line)
    return rollout_of(record, head_of(record), line, shape)


@lru_cache(OPEN_FILES)
def _opened(path: Path) -> Any:
    """A file for reading single rows; closed when it is forgotten."""
    return path.open("rb", buffering=0)
