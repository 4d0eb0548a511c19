"""A few bytes for each row, by which rows are compared without being read again.

Rows stay in the files where they were first written. What decides between them (task, reward,
hashes) goes to an index beside them, in partitions by hash, so that one partition at a time fits
into memory; a partition that does not, because one task is that large, is sorted on disk.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

PARTITION_INPUT = 64 * 2**20
"""Bytes of input whose index makes one partition."""
MOST_PARTITIONS = 1024
FLUSH = 8 * 2**20
"""Bytes of index that are held before they are written."""
SORTED_AT_ONCE = 2**17
"""Entries that are sorted in memory, about 12 MB."""
NO_ROW = 2**64 - 1
"""The id of an entry that only counts for its task."""

PAIR = 1
"""The category of a row that is a pair already."""


class Entry(NamedTuple):
    """What is known of one row."""

    task: int
    """Hash; the index is divided and sorted by it."""
    order: int
    """Hash of the row: an order that does not depend on the input's."""
    group: int
    """Hash of prompt and tools, or of the whole conversation: rows of one group are alike."""
    reward: float
    category: int
    """Hash of what the rows are balanced by."""
    id: int
    """Which row, see `row_id`; NO_ROW when there is none."""


PACKED = struct.Struct(">QQQdIQ")


def row_id(stream: int, span: int, row: int) -> int:
    """One number for a row: which output, which span of the input, which row of the span."""
    return stream << 56 | span << 32 | row


def place_of(row: int) -> tuple[int, int, int]:
    """Stream, span and row of an id."""
    return row >> 56, row >> 32 & 0xFFFFFF, row & 0xFFFFFFFF


def partitions_for(size: int) -> int:
    """How many partitions an input of `size` bytes has; it depends on nothing else."""
    return min(MOST_PARTITIONS, max(1, size // PARTITION_INPUT))


class Index:
    """Entries of one span, written in blocks of all partitions side by side."""

    def __init__(self, path: Path, partitions: int) -> None:
        self._file: BinaryIO = path.open("wb")
        self._parts = [bytearray() for _ in range(partitions)]
        self._held = 0

    def add(
        self, task: int, order: int, group: int, reward: float, category: int, row: int
    ) -> None:
        """Add what `Entry` is made of."""
        part = self._parts[task * len(self._parts) >> 64]
        part += PACKED.pack(task, order, group, reward, category, row)
        self._held += PACKED.size
        if self._held >= FLUSH:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        """A table of lengths, then the partitions."""
        if self._held:
            lengths = struct.pack(f">{len(self._parts)}I", *map(len, self._parts))
            self._file.write(lengths)
            self._file.writelines(self._parts)
            self._parts = [bytearray() for _ in self._parts]
            self._held = 0


def read(paths: Sequence[Path], partition: int, partitions: int) -> Iterator[bytes]:
    """The packed entries of one partition, as they were written."""
    table = struct.Struct(f">{partitions}I")
    for path in paths:
        with path.open("rb") as file:
            while head := file.read(table.size):
                lengths = table.unpack(head)
                begin = file.tell()
                file.seek(begin + sum(lengths[:partition]))
                block = file.read(lengths[partition])
                file.seek(begin + sum(lengths))
                yield from (
                    block[at : at + PACKED.size] for at in range(0, len(block), PACKED.size)
                )


def in_order(entries: Iterable[bytes], folder: Path) -> Iterator[Entry]:
    """Entries sorted by task, then order; in a file of the folder when there are many."""
    return map(Entry._make, map(PACKED.unpack, packed_in_order(entries, folder)))


def packed_in_order(entries: Iterable[bytes], folder: Path) -> Iterator[bytes]:
    """The same entries as they were written."""
    source = iter(entries)
    runs: list[Iterable[bytes]] = []
    while run := sorted(islice(source, SORTED_AT_ONCE)):
        runs.append(run if len(run) < SORTED_AT_ONCE else _on_disk(run, folder))
    return heapq.merge(*runs) if len(runs) > 1 else iter(*runs or [()])


def _on_disk(run: list[bytes], folder: Path) -> Iterator[bytes]:
    from tempfile import TemporaryFile

    file = TemporaryFile(dir=folder)  # noqa: SIM115 (closed when the run is read)
    file.writelines(run)
    file.seek(0)
    return iter(lambda: file.read(PACKED.size), b"")
