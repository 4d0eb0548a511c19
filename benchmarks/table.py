"""Figures, targets and the machine they were measured on, as Markdown."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measure import Cost

START = "<!-- measured: written by bench.py, not by hand -->"
END = "<!-- end of measured -->"
LIBRARIES = ("orjson", "msgspec", "datasets", "pyarrow")
"""Of data preparation."""


class Figure(NamedTuple):
    """One thing that is promised, and what was measured."""

    what: str
    measured: str
    target: str
    met: bool

    @property
    def answer(self) -> str:
        return "yes" if self.met else "**no**"


class Runs(NamedTuple):
    """Every run of one program on one file."""

    program: str
    workers: int
    size: int
    shape: str
    costs: list[Cost]


def at_most(what: str, value: float, measured: str, limit: float, unit: str = "") -> Figure:
    return Figure(what, measured, f"at most {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, measured: str, limit: float, unit: str = "") -> Figure:
    return Figure(what, measured, f"at least {limit:g}{unit}", value >= limit)


def markdown(
    figures: Sequence[Figure],
    runs: Sequence[Runs],
    notes: Sequence[str],
    surveys: Mapping[str, str],
) -> str:
    """All that was measured, with the date."""
    promised = table(
        ("What", "Measured: median (range)", "Target", "Met"),
        [(one.what, one.measured, one.target, one.answer) for one in figures],
    )
    programs = table(
        ("Program", "Workers", "Input", "CPU", "Wall", "MB per CPU second", "Peak of a process"),
        [_run(one) for one in runs],
    )
    lines = "\n".join(f"- {line}" for line in machine(LIBRARIES))
    return "\n\n".join(
        [
            today(),
            lines,
            promised,
            *notes,
            "Each program, median of its runs:",
            programs,
            *(
                f"The file of {shape} rollouts:\n\n```text\n{survey}\n```"
                for shape, survey in surveys.items()
            ),
        ]
    )


def _run(runs: Runs) -> tuple[str, ...]:
    cpu = median(cost.cpu for cost in runs.costs)
    wall = median(cost.wall for cost in runs.costs)
    return (
        f"{runs.program} (n={len(runs.costs)})",
        str(runs.workers),
        f"{megabytes(runs.size)} {runs.shape}",
        f"{cpu:.2f} s",
        f"{wall:.2f} s",
        f"{runs.size / 1e6 / cpu:,.0f}",
        megabytes(max(cost.peak for cost in runs.costs)),
    )


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"


def today() -> str:
    return f"Measured on {date.today().isoformat()}."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(libraries: Sequence[str]) -> list[str]:
    """What it was measured on, and with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores, {memory / 2**30:.0f} GiB, "
        f"load average at the end {load}",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        + ", ".join(f"{library} {version(library)}" for library in libraries),
    ]


def _cpu_model() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return models[0] if models else platform.machine()


def write(text: str, path: Path, first: str = START, last: str = END) -> None:
    """Put the text between the two markers of a file, which is made if it is not there."""
    old = path.read_text("utf-8") if path.exists() else f"{first}\n{last}\n"
    before, start, rest = old.partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise SystemExit(f"error: {path} lacks the lines {first} and {last}. Add them.")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}", "utf-8")
