"""Prepared rows, one at a time: of JSONL or parquet, of one file or of shards."""

import json
import mmap
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .write import files_of

Row = dict[str, Any]
JSON_COLUMN = "arrow.json"


class Rows(Sequence[Row]):
    """The rows of some files, each decoded when it is asked for.

    JSONL files are mapped into memory, so that the processes of one machine share them.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = [each for file in files for each in files_of(Path(file))]
        self.tables: list[Any] = []
        self.places: list[tuple[int, int]] = []
        for number, path in enumerate(self.files):
            read = _parquet if path.suffix == ".parquet" else _Lines
            self.tables.append(read(path))
            self.places += ((number, index) for index in range(len(self.tables[-1])))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        number, place = self.places[index]
        return self.tables[number][place]

    def __reduce__(self) -> Any:
        """As the processes of a data loader get it: they open the files themselves."""
        return _restored, ([str(file) for file in self.files], self.places)

    def select(self, indices: Sequence[int]) -> "Rows":
        """These rows, in this order."""
        return _restored([str(file) for file in self.files], [self.places[i] for i in indices])


def _restored(files: list[str], places: list[tuple[int, int]]) -> Rows:
    rows = Rows(files)
    rows.places = places
    return rows


class _Lines:
    """The objects of a JSONL file."""

    def __init__(self, path: Path) -> None:
        self.starts = array("Q", [0])
        self.bytes: Any = b""
        if path.stat().st_size:
            with path.open("rb") as file:
                self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        while (end := self.bytes.find(b"\n", self.starts[-1])) >= 0:
            self.starts.append(end + 1)
        if self.starts[-1] < len(self.bytes):
            self.starts.append(len(self.bytes))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Row:
        row: Row = json.loads(self.bytes[self.starts[index] : self.starts[index + 1]])
        return row


class _Table:
    """The rows of a parquet file as `parquet.py` writes it: JSON text in some columns."""

    def __init__(self, table: Any, decoded: set[str]) -> None:
        self.table, self.decoded = table, decoded

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Row:
        row = self.table.slice(index, 1).to_pylist()[0]
        return {
            name: json.loads(value) if name in self.decoded and value is not None else value
            for name, value in row.items()
        }


def _parquet(path: Path) -> _Table:
    from pyarrow import parquet

    table = parquet.read_table(path)
    decoded = {
        field.name
        for field in table.schema
        if getattr(field.type, "extension_name", None) == JSON_COLUMN
        or (field.metadata or {}).get(b"ARROW:extension:name") == JSON_COLUMN.encode()
    }
    return _Table(table, decoded)
