"""How far a long step has come."""

import sys
from typing import NoReturn

from tqdm import tqdm

LOG_SECONDS = 30.0


def progress(title: str, total: int | None, unit: str) -> "tqdm[NoReturn]":
    """A bar on a terminal, and a line every half minute in a log."""
    interval = 0.1 if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        unit_scale=True,
        mininterval=interval,
        maxinterval=max(interval, 10),
    )
