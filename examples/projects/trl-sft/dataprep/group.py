"""Rollouts of one task side by side, in memory that does not grow with the input."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from .rollout import Rollout

PARTITION_BYTES = 32 * 2**20
"""Input per partition; one partition at a time is held in memory, at several times its size."""
MOST_PARTITIONS = 512
"""Below the usual limit of open files."""


class Spill:
    """Rollouts written to partitions by the hash of their task, then read back task by task."""

    def __init__(self, folder: Path, input_bytes: int) -> None:
        self._count = min(MOST_PARTITIONS, 1 + input_bytes // PARTITION_BYTES)
        self._folder = folder
        self._encoder = msgspec.json.Encoder()
        self._stack = ExitStack()
        self._files: list[BinaryIO] = [
            self._stack.enter_context(self._path(index).open("wb")) for index in range(self._count)
        ]

    def add(self, rollout: Rollout) -> None:
        digest = hashlib.blake2b(rollout.task.encode(), digest_size=8, person=b"spill").digest()
        file = self._files[int.from_bytes(digest, "big") % self._count]
        file.write(self._encoder.encode(rollout) + b"\n")

    def tasks(self) -> Iterator[list[Rollout]]:
        """The rollouts of each task, in the order in which they were added."""
        self._stack.close()
        decoder = msgspec.json.Decoder(Rollout)
        for index in range(self._count):
            tasks: dict[str, list[Rollout]] = {}
            with self._path(index).open("rb") as lines:
                for line in lines:
                    rollout = decoder.decode(line)
                    tasks.setdefault(rollout.task, []).append(rollout)
            yield from tasks.values()

    def close(self) -> None:
        self._stack.close()

    def _path(self, index: int) -> Path:
        return self._folder / f"partition-{index:03d}.jsonl"
