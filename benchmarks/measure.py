"""What a command costs: CPU time, wall time, peak memory."""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LAUNCHER = Path(__file__).with_name("launcher.py")
RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
NOT_PASSED_ON = {"PYTHONDONTWRITEBYTECODE"}


class Failed(Exception):
    """A measured command ended with an error; the message is the last line it printed."""


class Job(NamedTuple):
    """One or more commands, run one after another."""

    name: str
    commands: Sequence[Sequence[str]]
    workers: int = 1


class Cost(NamedTuple):
    wall: float
    """Seconds until the first process ended."""
    cpu: float
    """Seconds of user and system time, of the process and all its children."""
    peak: int
    """Bytes resident in the largest of the processes, at its worst."""


class Scratch:
    """A folder for inputs that are kept, and for outputs that are thrown away after each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.outputs = self.folder / "outputs"
        self.log = self.folder / "log.txt"
        """What the last command printed."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, job: Job) -> Cost:
        """Run a job in a fresh folder of outputs.

        Raises:
            Failed: when a command ends with an error.
        """
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir()
        try:
            costs = [self._run(command) for command in job.commands]
        finally:
            shutil.rmtree(self.outputs)
        walls, cpus, peaks = zip(*costs, strict=True)
        return Cost(sum(walls), sum(cpus), max(peaks))

    def _run(self, command: Sequence[str]) -> Cost:
        report = self.folder / "cost.txt"
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(report)]
        with self.log.open("wb") as said:
            done = subprocess.run(
                [*launcher, *command], stdout=said, stderr=said, env=self._environment()
            )
        if done.returncode:
            last = self.log.read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise Failed("".join(last) or f"exit code {done.returncode}")
        wall, cpu, peak = report.read_text().split()
        return Cost(float(wall), float(cpu), int(peak))

    def _environment(self) -> dict[str, str]:
        """Ours, except that bytecode is cached as on a user's machine, outside the source, and that
        the library is the one that stands here."""
        passed_on = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
        caches = {
            "PYTHONPATH": str(RUNTIME),
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_OFFLINE": "1",
        }
        return {**passed_on, **caches}


class Ratios(NamedTuple):
    """One ratio a round."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        spread = f"{min(self.values):.2f} to {max(self.values):.2f}, n={len(self.values)}"
        return f"{self.median:.2f} ({spread})"


def warm(path: Path) -> None:
    """Read a file once, so that every program finds it in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(2**24):
            pass
