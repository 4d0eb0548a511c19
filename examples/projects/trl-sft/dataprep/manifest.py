"""What went in, what came out, and what became of the rest."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .errors import UserError
from .read import name_of, reading

FORMAT = 1
"""Raised when the meaning of a field changes."""


class Source(msgspec.Struct, omit_defaults=True):
    """A file that was read. Of stdin and pipes there is nothing more to know."""

    file: str
    bytes: int | None = None
    sha256: str | None = None


class Manifest(msgspec.Struct):
    """What `<output>.manifest.json` holds."""

    format: int
    output: str
    inputs: list[Source]
    options: dict[str, Any]
    """What was asked for."""
    counts: dict[str, int | dict[str, int]]
    """Lines, rollouts and rows at each stage, or for each reason."""


def encode(
    output: Path,
    inputs: Sequence[Path],
    options: Mapping[str, Any],
    counts: Mapping[str, int | dict[str, int]],
) -> bytes:
    """The manifest of an output as JSON, with the checksums of the inputs."""
    sources = [_source(path) for path in inputs]
    manifest = Manifest(FORMAT, name_of(Path(output.name)), sources, dict(options), dict(counts))
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


def _source(path: Path) -> Source:
    if not path.is_file():
        return Source(name_of(path))
    with reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(name_of(path), path.stat().st_size, digest)
