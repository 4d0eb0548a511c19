"""What went in, what came out, and what became of the rest."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .read import STDIN
from .write import Output, beside

FORMAT = 1
"""Raised when the meaning of a field changes."""


def write(
    output: Path, inputs: Sequence[Path], options: Mapping[str, Any], counts: Mapping[str, Any]
) -> None:
    """Save `<output>.manifest.json` beside an output.

    Args:
        inputs: files that were read; their SHA-256 is recorded.
        options: what was asked for.
        counts: rollouts at each stage.
    """
    report = {
        "format": FORMAT,
        "output": output.name,
        "inputs": [
            {"file": str(path), "bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in inputs
            if path != STDIN
        ],
        "options": options,
        "counts": counts,
    }
    with Output(beside(output, ".manifest.json")) as file:
        file.write(msgspec.json.format(msgspec.json.encode(report), indent=2))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
