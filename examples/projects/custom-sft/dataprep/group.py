"""Rollouts of one task side by side, in memory that does not grow with the input."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec

from .progress import progress
from .rollout import Rollout
from .write import explained

PARTITION_BYTES = 64 * 2**20
"""A partition up to this size is held in memory; a larger one is spilled again."""
PARTITION_BITS = 6
"""64 partitions: their files are open at once, which every system allows."""
LEVELS = 3
"""How often a partition is spilled again at most: a task that is large on its own stays large."""


class _Task(msgspec.Struct):
    """The one field of a rollout by which it is grouped."""

    task: str


class Spill:
    """Rollouts written to partitions by the hash of their task, then read back task by task."""

    def __init__(self, folder: Path, output: Path, level: int = 0) -> None:
        self.rollouts = 0
        self._folder = folder
        self._output = output
        self._level = level
        self._files: dict[int, BinaryIO] = {}
        self._encoder = msgspec.json.Encoder()

    def add(self, rollout: Rollout) -> None:
        self._put(rollout.task, self._encoder.encode(rollout) + b"\n")

    def tasks(self) -> Iterator[list[Rollout]]:
        """The rollouts of each task, in an order that does not depend on the input's."""
        decoder = msgspec.json.Decoder(Rollout)
        with progress("building", self.rollouts, " rollouts") as bar:
            for lines in self._tasks():
                yield [decoder.decode(line) for line in sorted(lines)]
                bar.update(len(lines))

    def close(self) -> None:
        with explained(self._output):
            for file in self._files.values():
                file.close()

    def _put(self, task: str, line: bytes) -> None:
        digest = hashlib.blake2b(task.encode(), digest_size=8, person=b"spill").digest()
        bits = int.from_bytes(digest, "big") >> (self._level * PARTITION_BITS)
        index = bits % 2**PARTITION_BITS
        with explained(self._output):
            if index not in self._files:
                self._files[index] = self._path(index).open("wb")
            self._files[index].write(line)
        self.rollouts += 1

    def _tasks(self) -> Iterator[list[bytes]]:
        self.close()
        for index in sorted(self._files):
            path = self._path(index)
            tasks: dict[str, list[bytes]] = {}
            if path.stat().st_size > PARTITION_BYTES and self._level + 1 < LEVELS:
                yield from self._spill_again(path)._tasks()
            else:
                for task, line in _lines(path):
                    tasks.setdefault(task, []).append(line)
            path.unlink()
            for task in sorted(tasks):
                yield tasks[task]

    def _spill_again(self, path: Path) -> "Spill":
        finer = Spill(path.with_suffix(".finer"), self._output, self._level + 1)
        with explained(self._output):
            finer._folder.mkdir()
        for task, line in _lines(path):
            finer._put(task, line)
        return finer

    def _path(self, index: int) -> Path:
        return self._folder / f"partition-{index:02d}"


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    decoder = msgspec.json.Decoder(_Task)
    with path.open("rb") as lines:
        for line in lines:
            yield decoder.decode(line).task, line


@contextmanager
def spill_beside(output: Path) -> Iterator[Spill]:
    """A spill in a temporary folder beside the output, where there is room for as much data."""
    with explained(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=f".{output.name}.", suffix=".part", dir=output.parent)
    with folder as name:
        spill = Spill(Path(name), output)
        try:
            yield spill
        finally:
            spill.close()
