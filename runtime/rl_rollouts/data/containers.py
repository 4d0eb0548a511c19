"""Files that hold records, but not one a line: JSON arrays and parquet are read all the same, and
what is neither is refused once, by the name of its form."""

import io
import json
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import msgspec

from ..errors import UserError
from .compressed import STDIN

PARQUET = b"PAR1"
TABLES = {".csv": ",", ".tsv": "\t"}
UNREAD = {
    b"PK\x03\x04": ("a zip archive", "Unpack it, and give the files in it."),
    b"BZh": ("compressed with bzip2", "Unpack it; gzip and zstd are read as they are."),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it; gzip and zstd are read as they are."),
    b"ARROW1": ("an Arrow file", "Write it as parquet or as JSON lines."),
}
BOM = b"\xef\xbb\xbf"
BATCH = 256
"""Rows of a parquet file that are decoded at once."""


def holds_lines(path: Path) -> bool:
    """Whether a regular file that is not compressed has a record a line, and may be divided."""
    with path.open("rb") as file:
        start = file.read(64)
    return not (start.startswith(PARQUET) or _text(start).startswith(b"["))


def rows_in(path: Path, content: BinaryIO) -> Iterable[bytes]:
    """The records of a file from its beginning, each with a line break.

    Raises:
        UserError: for a file in a form that is not read, or one that is not whole.
    """
    start = cast(io.BufferedReader, content).peek(64)
    for magic, (form, remedy) in UNREAD.items():
        if start.startswith(magic):
            _refuse(path, form, remedy)
    if path.suffix in TABLES:
        read = f"pandas.read_csv({str(path)!r}, sep={TABLES[path.suffix]!r})"
        remedy = f"Write JSON lines: {read}.to_json('rollouts.jsonl', orient='records', lines=True)"
        _refuse(path, "a table of text", remedy)
    if start.startswith(PARQUET):
        return _of_parquet(path)
    text = _text(start)
    if text.startswith(b"["):
        return _of_array(path, _whole(path, content))
    if text.startswith((b"{\n", b"{\r\n")):
        remedy = f"Write one record a line: jq -c . {path} > rollouts.jsonl"
        _refuse(path, "a JSON object over several lines, not JSON lines", remedy)
    return content


def _text(start: bytes) -> bytes:
    return start.removeprefix(BOM).lstrip()


def _refuse(path: Path, form: str, remedy: str) -> NoReturn:
    name = "What came from stdin" if path == STDIN else str(path)
    raise UserError(f"{name} is {form}, which is not read.", remedy)


def _whole(path: Path, content: BinaryIO) -> memoryview:
    """All of it; what lies on the disk as it is takes no memory for that."""
    if path.is_file() and isinstance(getattr(content, "raw", None), io.FileIO):
        text = memoryview(mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ))
    else:
        text = memoryview(content.read())
    return text[len(BOM) :] if text[: len(BOM)] == BOM else text


def _of_array(path: Path, text: memoryview) -> Iterable[bytes]:
    """The elements of a JSON array. Lists, one a line, are lines, and each is refused for itself.

    What is decoded is where each element begins and ends, not what is in it.
    """
    try:
        return _one_a_line(msgspec.json.decode(text, type=list[msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if "trailing characters" in str(error):
            return bytes(text).splitlines(keepends=True)
        problem = error
    try:
        return (json.dumps(each).encode() + b"\n" for each in json.loads(bytes(text)))
    except (ValueError, RecursionError):
        remedy = "Write it again; as JSON lines what is whole can be used: jq -c '.[]'"
        raise UserError(f"{path} is a JSON array that is not whole: {problem}.", remedy) from None


def _one_a_line(elements: list[msgspec.Raw]) -> Iterator[bytes]:
    for element in elements:
        data = bytes(element)
        yield (msgspec.json.format(data, indent=-1) if b"\n" in data else data) + b"\n"


def _of_parquet(path: Path) -> Iterator[bytes]:
    """The rows of a parquet file as JSON.

    Arrow gives every object of a column the keys of all objects there, filled with null; those are
    left out, as no writer of rollouts means them.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    yield msgspec.json.encode(_without_null(row), enc_hook=str) + b"\n"
    except arrow.ArrowInvalid as error:
        problem = str(error).partition(".")[0]
        raise UserError(
            f"{path} cannot be read as parquet: {problem}.", "Write it again."
        ) from None


def _pyarrow() -> tuple[Any, Any]:
    """Imported late: it takes half a second and 60 MB, and only parquet needs it."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            "Parquet files need pyarrow, which is not installed.",
            "Run `pip install pyarrow`, or write JSON lines.",
        ) from None
    return pyarrow, parquet


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value
