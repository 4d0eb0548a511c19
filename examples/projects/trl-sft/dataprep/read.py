"""Rollout files, line by line: plain, gzip or zstd, several files, folders, or `-` for stdin."""

import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
from tqdm import tqdm

from .errors import Unusable, UserError
from .rollout import Json

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
SIDECARS = ("_materialized_inputs", "_failures", "_aggregate_metrics", "_reward_profiling")
"""Files that NeMo Gym writes beside the rollouts, and that a `*.jsonl` picks up."""
STDIN = Path("-")


class Line(msgspec.Struct, frozen=True):
    """One line of an input file, without its line break."""

    file: str
    number: int
    """From 1."""
    offset: int
    """Byte at which the line begins, in the uncompressed file."""
    data: bytes


def find(inputs: Sequence[str]) -> list[Path]:
    """The rollout files among files and folders; sidecar files are left out, and said so.

    Raises:
        UserError: for a path that is not there, and when nothing is left.
    """
    found = [path for name in inputs for path in _expand(Path(name))]
    kept = [path for path in found if not _is_sidecar(path)]
    skipped = [path.name for path in found if _is_sidecar(path)]
    if skipped:
        print(
            f"skipped {len(skipped)} files that lie beside rollouts ({skipped[0]} ...)",
            file=sys.stderr,
        )
    if not kept:
        raise UserError(
            f"There are no rollouts in {', '.join(inputs)}.",
            f"Give files or folders that hold {', '.join(SUFFIXES)}.",
        )
    return kept


def _expand(path: Path) -> list[Path]:
    if path == STDIN or path.is_file():
        return [path]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES))
    raise UserError(f"{path} is not there.", "Give a file or a folder with rollouts.")


def _is_sidecar(path: Path) -> bool:
    return path.name.split(".")[0].endswith(SIDECARS) or path.name.endswith("rejected.jsonl")


def size_of(files: Iterable[Path]) -> int:
    """Bytes on disk; stdin counts as none."""
    return sum(file.stat().st_size for file in files if file != STDIN)


def lines(files: Sequence[Path], title: str) -> Iterator[Line]:
    """All lines that are not blank, with a progress bar over the bytes read.

    Raises:
        UserError: when a compressed file is damaged.
    """
    quiet = None if sys.stderr.isatty() else 30.0
    with tqdm(
        total=size_of(files) or None,
        desc=title,
        unit="B",
        unit_scale=True,
        mininterval=quiet or 0.1,
    ) as bar:
        for path in files:
            with _raw(path) as raw, _decompressed(path, raw) as stream:
                read = 0
                for line in _lines_of(path, stream):
                    yield line
                    at = raw.tell() if raw.seekable() else line.offset + len(line.data)
                    bar.update(at - read)
                    read = at


def _lines_of(path: Path, stream: BinaryIO) -> Iterator[Line]:
    offset = 0
    try:
        for number, data in enumerate(stream, start=1):
            text = data.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else data.strip()
            if text:
                yield Line(str(path), number, offset, text)
            offset += len(data)
    except (gzip.BadGzipFile, EOFError, _zstd_error()) as error:
        raise UserError(
            f"{path} is damaged after byte {offset} of its content: {error}.",
            "Copy or compress it again; nothing was written.",
        ) from None


@contextmanager
def _raw(path: Path) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as raw:
        yield raw


@contextmanager
def _decompressed(path: Path, raw: BinaryIO) -> Iterator[BinaryIO]:
    if path.suffix == ".gz":
        with gzip.open(raw) as stream:
            yield cast(BinaryIO, stream)
    elif path.suffix == ".zst":
        import io

        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            yield cast(BinaryIO, io.BufferedReader(stream))
    else:
        yield raw


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def parse(data: bytes) -> Json:
    """One line as an object. NaN and Infinity, which Python writes, are read as such.

    Raises:
        Unusable: when it is none.
    """
    try:
        record: Any = msgspec.json.decode(data)
    except UnicodeDecodeError:
        raise Unusable("the line is not UTF-8") from None
    except RecursionError:
        raise Unusable("the line is nested too deeply") from None
    except msgspec.DecodeError as error:
        record = _parse_leniently(data, str(error))
    if not isinstance(record, dict):
        raise Unusable(f"the line is a JSON {type(record).__name__}, not an object")
    return record


def _parse_leniently(data: bytes, problem: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Unusable(f"the line is not JSON: {problem}") from None
