"""What a project's trainer will do with these rollouts, before there is a project.

The project is rendered into a temporary folder, and filters and prepares them there with its own
scripts and options; then the library counts, as it does for the project itself. So what is said is
what happens.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder import frameworks, library, machine, render
from scaffolder.errors import CannotWrite, MissingProgram
from scaffolder.staging import one_interrupt, staging

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec

DATA = "training_data.jsonl"
FILTERED, PREPARED = "filtered.manifest.json", "training_data.manifest.json"


SOON = 32 * 2**20
"""Bytes of rollouts that are prepared without being asked for."""


@dataclass(frozen=True)
class Outlook:
    """What becomes of rollouts on their way to the trainer, and there."""

    read: int | None = None
    """Lines; None where the project did not come that far."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Of these, by reason, most frequent first."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """`Forecast` of the library, `survey/forecast.py`; empty where no row was made."""
    lines: tuple[str, ...] = ()
    """The same for a terminal."""
    problem: str = ""
    """Why the project would stop before the first step; empty when it would not."""
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def outlook(
    rollouts: Path, spec: "ProjectSpec", plan: "Plan", configs: Sequence[Path] = ()
) -> Outlook:
    """Filter and prepare rollouts as a project of these choices does, and look at the rows.

    Args:
        configs: of a project that is there already, in place of those of a new one.

    Raises:
        CannotWrite: when there is no room for them.
        MissingProgram: when there is no make.
    """
    folder = Path(tempfile.gettempdir())
    if shutil.which("make") is None:
        raise MissingProgram("make", "filter and prepare rollouts as a project does")
    try:
        with one_interrupt(), staging(folder) as work:
            project = render.whole(spec, plan, work).path
            for config in configs:
                shutil.copy(config, project)
            done = _prepare(project, rollouts)
            return _stopped(done.stderr) if done.returncode else of_project(project, spec)
    except OSError as error:
        raise CannotWrite(folder, error) from error


def of_project(project: Path, spec: "ProjectSpec") -> Outlook:
    """What a project that has prepared its rows will do with them; none of its code is run."""
    config = project / f"{spec.framework}_config.yaml"
    modules = library.load("frameworks").shipped()
    forecast = library.load("survey.forecast").of_files(project / DATA, config, modules)
    import msgspec

    read, left_out = _counted(project)
    remedy = _remedy(forecast, spec) if forecast.problem else ""
    found: dict[str, Any] = msgspec.to_builtins(forecast)
    return Outlook(read, left_out, found, tuple(forecast.lines()), forecast.problem, remedy)


def soon_read(path: Path) -> Path | None:
    """Rollouts that are there, and prepared in a few seconds."""
    there = machine.found(str(path))
    if not (there and (there.is_file() or there.is_dir())):
        return None
    read = library.load("data.read")
    with suppress(library.load("errors").UserError):
        return there if read.size_of(read.find([str(there)])) <= SOON else None
    return None


def _prepare(project: Path, rollouts: Path) -> "subprocess.CompletedProcess[str]":
    """`make prepare`, with the tool's own Python and library."""
    given = {"PYTHON": sys.executable, "ROLLOUTS": str(rollouts.resolve())}
    words = [f"{name}={shlex.quote(value).replace('$', '$$')}" for name, value in given.items()]
    return subprocess.run(
        ["make", "--silent", "prepare", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": library.place()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _stopped(said: str) -> Outlook:
    """What filtering or preparing stops with."""
    _, _, error = said.rpartition("error: ")
    problem, _, remedy = error.partition("\n")
    remedy = " ".join(line for line in remedy.splitlines() if not line.startswith("make"))
    return Outlook(problem=problem or "make prepare failed", remedy=remedy)


def _counted(project: Path) -> tuple[int | None, dict[str, int]]:
    """Lines that were read, and how many were left out for each reason; as the manifests say."""
    manifests = [_counts(project / name) for name in (FILTERED, PREPARED)]
    left: Counter[str] = Counter()
    for counts in manifests:
        for value in counts.values():
            left.update(value if isinstance(value, dict) else {})
    read = manifests[0].get("read")
    return read if isinstance(read, int) else None, dict(left.most_common())


def _counts(manifest: Path) -> dict[str, Any]:
    try:
        found = json.loads(manifest.read_text("utf-8"))["counts"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _remedy(forecast: Any, spec: "ProjectSpec") -> str:
    """What would let the trainer take the rows."""
    if forecast.with_tools and forecast.tools == "refuse":
        choices = [
            each for each in frameworks.get(spec.framework).rows_with_tools if each != "refuse"
        ]
        ways = " or ".join(f"--set rows_with_tools={each}" for each in choices)
        return f"Choose what becomes of them: {ways}."
    if forecast.steps == 0:
        return "Give more rollouts, or a smaller batch: --set global_batch_size=..."
    return "Give other rollouts, or another algorithm."
