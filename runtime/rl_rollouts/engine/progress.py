"""How far a long step has come."""

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_SECONDS = 30.0
SCREEN_SECONDS = 0.5
LINE = "{percentage:.0f}% of {total_fmt}{unit} after {elapsed}, {remaining} left, {rate_fmt}"


class Progress:
    """A bar on a terminal, and a line every half minute in a log.

    It is there from when somebody may begin to wonder: to import it costs more than a small file.
    """

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._words = title, total, unit
        self._screen = sys.stderr.isatty()
        self._wait = SCREEN_SECONDS if self._screen else LOG_SECONDS
        self._began = self._said = monotonic()
        self._done = 0
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> "Progress":
        return self

    def update(self, more: int = 1) -> None:
        """Say that so much more is done."""
        self._done += more
        if self._bar is not None:
            self._bar.update(more)
        elif monotonic() - self._said >= self._wait:
            self._said = monotonic()
            if self._screen:
                self._bar = self._shown()
            else:
                self._say()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _shown(self) -> "tqdm[NoReturn]":
        from tqdm import tqdm

        title, total, unit = self._words
        bar: tqdm[NoReturn] = tqdm(total=total, desc=title, unit=unit, unit_scale=True)
        bar.start_t = self._began - monotonic() + bar.start_t
        bar.update(self._done)
        return bar

    def _say(self) -> None:
        from tqdm import tqdm

        title, total, unit = self._words
        line = tqdm.format_meter(
            self._done,
            total or 0,
            monotonic() - self._began,
            unit=unit,
            unit_scale=True,
            bar_format=LINE if total else "{n_fmt}{unit} after {elapsed}, {rate_fmt}",
        )
        print(f"{title}: {line}", file=sys.stderr, flush=True)


def progress(title: str, total: int | None, unit: str) -> Progress:
    """For a `with` block."""
    return Progress(title, total, unit)
