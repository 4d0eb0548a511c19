"""Files of rows become outputs: under their names, divided where they are large, all at once."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from .gather import Part
from .parquet import Columns, Parquet
from .write import Output, explained, shard_names, shards_of, together


def deliver(
    outputs: Mapping[Path, Sequence[Part]],
    columns: Mapping[Path, Columns | None],
    shard_size: int,
    notes: Mapping[Path, bytes],
) -> None:
    """Write the outputs, and notes about them that appear last.

    Args:
        outputs: names, and the files of rows that each is made of; those are used up.
        columns: of the rows of each, for outputs named .parquet.
        shard_size: bytes of rows from which an output is divided.
    """
    old = {file for path in outputs for file in (path, *shards_of(path))}
    shards = {
        path: [
            _output(name, columns[path]) for name in shard_names(path, _count(parts, shard_size))
        ]
        for path, parts in outputs.items()
    }
    for path in (*outputs, *notes):
        for stopped in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            stopped.unlink(missing_ok=True)  # of a run that was killed: this one has the lock
    every = [shard for each in shards.values() for shard in each]
    noted = {Output(note): text for note, text in notes.items()}
    with together([*every, *noted]):
        for path, parts in outputs.items():
            _fill(shards[path], parts)
        for note, text in noted.items():
            note.write(text)
    for file in old - {shard.path for shard in every}:
        with explained(file):
            file.unlink(missing_ok=True)


def _output(path: Path, columns: Columns | None) -> Output:
    if path.suffix == ".parquet" and columns is not None:
        return Parquet(path, columns)
    return Output(path)


def _count(parts: Sequence[Part], shard_size: int) -> int:
    size = sum(path.stat().st_size for path, _ in parts)
    return max(1, -(-size // shard_size))


def _fill(shards: Sequence[Output], parts: Sequence[Part]) -> None:
    """Rows in their order, in files of about the same size."""
    if len(shards) == 1:
        for path, rows in parts:
            shards[0].take(path, rows)
        return
    limit = sum(path.stat().st_size for path, _ in parts) / len(shards)
    written = 0
    for path, _ in parts:
        with path.open("rb") as lines:
            for line in lines:
                shards[min(int(written / limit), len(shards) - 1)].write(line.rstrip(b"\n"))
                written += len(line)
