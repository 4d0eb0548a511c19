"""Rows of training data, as many as are measured."""

import heapq
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from ..data.rollout import Json
from ..errors import UserError

SAMPLE = 2000
"""Rows that are measured; of more, those with the smallest hashes."""
REMEDY = "Run `make prepare`."


def sample_of(files: Sequence[Path]) -> tuple[int, list[Json]]:
    """How many rows there are, and the ones to measure, which do not depend on their order.

    Raises:
        UserError: for files that cannot be read, and rows that are no JSON objects.
    """
    rows, smallest = 0, list[tuple[int, bytes]]()
    for line in (line for path in files for line in _lines(path)):
        rows += 1
        entry = (-xxhash.xxh3_64_intdigest(line), line)
        if len(smallest) < SAMPLE:
            heapq.heappush(smallest, entry)
        else:
            heapq.heappushpop(smallest, entry)
    decoder = msgspec.json.Decoder(Json)
    try:
        return rows, [decoder.decode(line) for _, line in sorted(smallest)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        names = ", ".join(map(str, files))
        raise UserError(f"A row of {names} is no JSON object: {error}.", REMEDY) from None


def _lines(path: Path) -> Iterator[bytes]:
    """The rows of a file as JSON text."""
    try:
        if path.suffix == ".parquet":
            yield from _parquet_lines(path)
        else:
            with path.open("rb") as lines:
                yield from (line for line in lines if line.strip())
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.", REMEDY) from None


def _parquet_lines(path: Path) -> Iterator[bytes]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        remedy = "Run `make install`, or leave out --data."
        raise UserError(f"Reading {path} needs pyarrow.", remedy) from None
    file = parquet.ParquetFile(path)
    texts = {field.name for field in file.schema_arrow if "arrow.json" in str(field.type)}
    for batch in file.iter_batches():
        for row in batch.to_pylist():
            decoded = {name: row[name] and msgspec.Raw(row[name]) for name in texts}
            yield msgspec.json.encode({**row, **decoded})
