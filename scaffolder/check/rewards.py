"""The reward, called by the project's own Python on rollouts that are there.

The tool imports none of the user's code. Where there is no .venv, `make check` calls it later.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from scaffolder import code, frameworks
from scaffolder.project import Finding, Project
from scaffolder.vocabulary import OFFLINE

FILE, NAME = "rewards.py", "rewards:score"
TRIED = 16
"""Rollouts on which it is called."""
PATIENCE = 20
"""Seconds that it may take for them."""
ARGUMENTS = 4


def check(project: Project) -> Iterator[Finding]:
    name = _named(project)
    online = project.spec.algorithm not in OFFLINE
    problem = code.problem_of(project.path, name, "score", ARGUMENTS)
    if problem is None:
        yield from _tried(project, name)
    elif not online:  # The others name it in their config, where it is said.
        where = FILE if (project.path / FILE).is_file() else None
        problem = f"{problem}; make evaluate and make rewards call it"
        yield Finding("error", problem, "Correct the name, or bring it back from git.", where)


def _named(project: Project) -> str:
    adapter = frameworks.get(project.spec.framework)
    meant = adapter.meanings(project.spec, project.plan).get("rewards")
    said = meant.read(project.config) if meant else None
    return said if isinstance(said, str) else NAME


def _tried(project: Project, name: str) -> Iterator[Finding]:
    python, rollouts = project.path / ".venv/bin/python", project.path / project.spec.rollouts
    if not python.exists() or not rollouts.exists():
        return
    where = f"{name.partition(':')[0].replace('.', '/').removesuffix('/py')}.py"
    words = ["-m", "rl_rollouts.rewards.check", "--input", str(rollouts), "--json"]
    words += ["--limit", str(TRIED), "--rewards", name]
    try:
        done = subprocess.run(
            [str(python), *words],
            cwd=project.path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        problem = f"{name} took more than {PATIENCE} s for {TRIED} rollouts"
        yield Finding("note", problem, "make rewards waits for it.", _file(project.path, where))
        return
    except OSError as error:
        yield Finding("note", f"{python} does not run: {error}", "make install.")
        return
    yield from _said(done, _file(project.path, where))


def _said(done: "subprocess.CompletedProcess[str]", file: str | None) -> Iterator[Finding]:
    try:
        failures = json.loads(done.stdout)["failures"]
    except (ValueError, KeyError, TypeError):
        failures = []
    if failures:
        problem = f"the reward fails on recorded rollouts: {_line(str(failures[0]))}"
        yield Finding("error", problem, "Mend it; make rewards says more.", file)
    elif done.returncode == 1 and "cannot be imported" in done.stderr:
        problem = _line(done.stderr).removeprefix("error: ")
        yield Finding("error", problem, "Mend it.", file)


def _line(said: str) -> str:
    return said.strip().partition("\n")[0]


def _file(folder: Path, name: str) -> str | None:
    return name if (folder / name).is_file() else None
