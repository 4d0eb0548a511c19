"""Parquet files that appear only when they are whole, and give back what was put in.

Numbers, text and booleans have columns of their type. Everything else is kept as JSON text in a
column of arrow's type `arrow.json`: `datasets` decodes it when it loads the file, pandas and polars
give the text. Nested columns would be typed by arrow, which gives every row the keys of all rows,
filled with null, and a trainer would show those to the model.

Source: the canonical extension type JSON of the Arrow format, known to pyarrow from 19 on and to
`datasets` from 4.7 on.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import msgspec

from ..data.rollout import ABSENT
from ..errors import UserError
from .write import Output, explained

GROUP_BYTES = 8 << 20
"""Rows are collected up to this much JSON text before they are written."""
SCALARS = (str, float, int, bool)
Columns = Mapping[str, Any]
"""Names, and types: one of SCALARS, or anything else for JSON."""


def columns(row: type[msgspec.Struct]) -> dict[str, Any]:
    """The columns of rows that are structs."""
    return {field.encode_name: _alone(field.type) for field in msgspec.structs.fields(row)}


def _alone(kind: Any) -> Any:
    """Of a type that may be null the other one, as every column may hold null."""
    inner = get_args(kind)
    others = [each for each in inner if each is not type(None)]
    return others[0] if len(others) < len(inner) and others[0] in SCALARS else kind


class Parquet(Output):
    """Used like `Output`. Rows hold some of the columns, the others are null there.

    Raises:
        UserError: when pyarrow is not installed, or the rows have no columns.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        super().__init__(path)
        if not columns:
            raise UserError(
                f"Cannot write {path}: the loader reads these rows from JSONL only.",
                "Give an --output that ends in .jsonl.",
            )
        self._arrow, self._parquet = _pyarrow()
        self._types = [kind if kind in SCALARS else None for kind in columns.values()]
        self._names = list(columns)
        self._decode = msgspec.json.Decoder(self._row_type()).decode
        self._values: list[list[Any]] = [[] for _ in self._names]
        self._bytes = 0

    def __enter__(self) -> "Parquet":
        super().__enter__()
        self._writer = self._parquet.ParquetWriter(
            self._file,
            self._schema(),
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
        )
        return self

    def write(self, row: Any) -> None:
        """Add one row, or the JSON text of one.

        Raises:
            msgspec.ValidationError: for a key that is no column, or a value of another type.
        """
        data = row if isinstance(row, bytes) else self._encoder.encode(row)
        values = msgspec.structs.astuple(self._decode(data))
        for column, kind, value in zip(self._values, self._types, values, strict=True):
            column.append(value if kind else bytes(value) or None)
        self.rows += 1
        self._bytes += len(data)
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def take(self, path: Path, rows: int) -> None:  # noqa: ARG002 (counted while writing)
        """Append a JSONL file of rows, and remove it."""
        with explained(path), path.open("rb") as lines:
            for line in lines:
                self.write(line)
        path.unlink()

    def finish(self) -> None:
        if not self._file.closed:
            self._flush()
            with explained(self.path):
                self._writer.close()
        super().finish()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            # After an error the writer is still open, and would write its footer when collected.
            self._writer.is_open = False

    def _flush(self) -> None:
        """Write what was collected as one row group."""
        if self._bytes:
            schema = self._schema()
            arrays = [self._array(*pair) for pair in zip(self._values, schema.types, strict=True)]
            with explained(self.path):
                self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=schema))
        self._values = [[] for _ in self._names]
        self._bytes = 0

    def _array(self, values: list[Any], kind: Any) -> Any:
        if not isinstance(kind, self._arrow.JsonType):
            return self._arrow.array(values, kind)
        texts = self._arrow.array(values, kind.storage_type)
        return self._arrow.ExtensionArray.from_storage(kind, texts)

    def _schema(self) -> Any:
        arrow = self._arrow
        types = {
            str: arrow.string(),
            float: arrow.float64(),
            int: arrow.int64(),
            bool: arrow.bool_(),
            None: arrow.json_(arrow.string()),
        }
        return arrow.schema(
            [(name, types[kind]) for name, kind in zip(self._names, self._types, strict=True)]
        )

    def _row_type(self) -> type[msgspec.Struct]:
        """One row, decoded no further than its columns."""
        fields: list[Any] = [
            (f"column{i}", kind | None, None) if kind else (f"column{i}", msgspec.Raw, ABSENT)
            for i, kind in enumerate(self._types)
        ]
        names = {f"column{i}": name for i, name in enumerate(self._names)}
        return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True)


def _pyarrow() -> tuple[Any, Any]:
    """Imported late: it takes half a second and 60 MB, and only parquet needs it."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            "Parquet files need pyarrow, which is not installed.",
            "Run `pip install pyarrow`, or write JSONL.",
        ) from None
    return pyarrow, parquet
