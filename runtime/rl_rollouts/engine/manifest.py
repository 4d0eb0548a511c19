"""What went in, what came out, and what became of the rest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from ..config import project
from ..data.read import is_stream, name_of, reading
from ..errors import UserError
from .write import BUFFER

FORMAT = 2
"""Raised when the meaning of a field changes."""


Counts = Mapping[str, int | dict[str, int]]
"""What was read and what became of it, in order; a dict says how many for each reason."""


class Source(msgspec.Struct, omit_defaults=True):
    """A file that was read. Of stdin and pipes there is nothing more to know."""

    file: str
    bytes: int | None = None
    checksum: str | None = None
    """As `xxh128sum` prints it. A checksum against damage and mix-ups, not against forgery."""


class Manifest(msgspec.Struct):
    """What `<output>.manifest.json` holds."""

    format: int
    output: str
    template: str
    """Version of the template that this project was rendered from."""
    inputs: list[Source]
    options: dict[str, Any]
    """What was asked for."""
    counts: dict[str, int | dict[str, int]]
    """Lines, rollouts and rows at each stage, or for each reason."""


def encode(
    output: Path, inputs: Sequence[Source], options: Mapping[str, Any], counts: Counts
) -> bytes:
    """The manifest of an output as JSON."""
    name = name_of(Path(output.name))
    manifest = Manifest(FORMAT, name, project().template, list(inputs), dict(options), dict(counts))
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UserError: when it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Run `make prepare` first.") from None


def source(path: Path, digest: str | None = None) -> Source:
    """A file that was read, with its size and checksum.

    Args:
        digest: its checksum, when that is known from reading.
    """
    if is_stream(path):
        return Source(name_of(path))
    with reading(path):
        size = path.stat().st_size
        return Source(name_of(path), size, f"XXH3_128:{digest or _digest(path)}")


def print_counts(counts: Counts, kind: str = "") -> None:
    """One table: what was read, what became of it; with the kind where there are several."""
    if kind:
        print(f"{kind}:")
    for name, value in counts.items():
        if isinstance(value, dict):
            print(f"{sum(value.values()):>10,}  {name}")
            for reason, count in sorted(value.items(), key=lambda item: -item[1]):
                print(f"{count:>14,}  {reason}")
        else:
            print(f"{value:>10,}  {name}")


def _digest(path: Path) -> str:
    digest, buffer = xxhash.xxh3_128(), bytearray(BUFFER)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()
