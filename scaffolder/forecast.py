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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
CONFIGS = ("accelerate_config.yaml",)
"""Beside the trainer's: how many processes share a step."""
SCRIPTS = ("Makefile", "filter_rollouts.py", "rewards.py")
"""Beside `prepare_for_*.py`: what makes the rows, and may be its owner's."""
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


def outlook(rollouts: Path, spec: "ProjectSpec", plan: "Plan") -> Outlook:
    """Filter and prepare rollouts as a project of these choices does, and look at the rows.

    Raises:
        CannotWrite: when there is no room for them.
        MissingProgram: when there is no make.
    """
    if not _can_prepare():
        raise MissingProgram("make", "filter and prepare rollouts as a project does")
    with _rendered(spec, plan) as project:
        return _prepared(project, rollouts, spec)


def outlook_of(project: Path, spec: "ProjectSpec", plan: "Plan") -> Outlook | None:
    """The same for a project that is there, with its configs; none of its code is run.

    Returns:
        None where it has neither rows nor rollouts that are soon read, or scripts of its owner.

    Raises:
        CannotWrite: when there is no room.
    """
    if library.load("engine.write").files_of(project / DATA):
        return of_project(project, spec)
    rollouts = soon_read(project / spec.rollouts)
    if rollouts is None:
        return None
    with _rendered(spec, plan) as fresh:
        scripts = (*SCRIPTS, f"prepare_for_{spec.framework}.py")
        if not all(_same(project / name, fresh / name) for name in scripts):
            return None
        for name in (f"{spec.framework}_config.yaml", *CONFIGS):
            if (project / name).is_file():
                shutil.copy(project / name, fresh)
        return _prepared(fresh, rollouts, spec)


@contextmanager
def _rendered(spec: "ProjectSpec", plan: "Plan") -> Iterator[Path]:
    """A project in a temporary folder."""
    folder = Path(tempfile.gettempdir())
    try:
        with one_interrupt(), staging(folder) as work:
            yield render.whole(spec, plan, work).path
    except OSError as error:
        raise CannotWrite(folder, error) from error


def _prepared(project: Path, rollouts: Path, spec: "ProjectSpec") -> Outlook:
    done = _prepare(project, rollouts)
    return _stopped(done.stderr) if done.returncode else of_project(project, spec)


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def _can_prepare() -> bool:
    return shutil.which("make") is not None


def of_project(project: Path, spec: "ProjectSpec") -> Outlook:
    """What a project that has prepared its rows will do with them; none of its code is run."""
    config = project / f"{spec.framework}_config.yaml"
    modules = library.load("frameworks").shipped()
    forecast = library.load("survey.forecast").of_files(project / DATA, config, modules)
    import msgspec

    read, left_out = _counted(project)
    remedy = _remedy(forecast, spec) if forecast.problem else ""
    found: dict[str, Any] = msgspec.to_builtins(forecast)
    lengths = _lengths(project / DATA, config) if spec.framework in modules else ()
    lines = (*forecast.lines(), *lengths)
    return Outlook(read, left_out, found, lines, forecast.problem, remedy)


def _lengths(data: Path, config: Path) -> Iterator[str]:
    """About how many rows are too long, by their characters: tokens are counted by `make check`."""
    import msgspec

    lengths, trainers, tokens = (
        library.load(f"report.{name}") for name in ("lengths", "trainer", "tokens")
    )
    trainer = msgspec.structs.replace(trainers.trainer_of(config), model=None)
    if trainer.limit is not None:
        found = lengths.measure([data], trainer)
        yield f"lengths  by their characters; `make check` counts tokens. {tokens.verdict(found)}"


def soon_read(path: Path) -> Path | None:
    """Rollouts that are there, and prepared in a few seconds."""
    there = machine.found(str(path))
    if not (there and (there.is_file() or there.is_dir()) and _can_prepare()):
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
    return Outlook(problem=problem.removesuffix(".") or "make prepare failed", remedy=remedy)


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
