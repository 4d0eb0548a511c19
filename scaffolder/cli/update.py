"""`rl-scaffolder update`: newer templates, or other answers, for a project that is there."""

import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffolder.cli import options
from scaffolder.errors import Cancelled

if TYPE_CHECKING:
    from scaffolder.update import Update


def update(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A rendered project.")] = Path(),
    framework: options.Framework = None,
    algorithm: options.Algorithm = None,
    pattern: options.Pattern = None,
    topology: options.Topology = None,
    nodes: options.Nodes = None,
    gpus_per_node: options.GpusPerNode = None,
    gpu_memory: options.GpuMemory = None,
    tuning: options.Tuning = None,
    sharding: options.Sharding = None,
    generation: options.Generation = None,
    model: options.Model = None,
    rollouts: options.Rollouts = None,
    tracker: options.Tracker = None,
    assignments: options.Assignments = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would become of each file; change nothing.",
            rich_help_panel=options.RUN,
        ),
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Show the changes themselves.", rich_help_panel=options.RUN),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Bring a project to the newest templates, or to other choices, and keep your edits."""
    from scaffolder import answers as all_answers
    from scaffolder import frameworks, project
    from scaffolder import update as updates

    given = all_answers.gather(None, assignments or [], options.given(locals()))
    path = Path(os.path.normpath(directory.absolute()))
    before = project.choices(project.read_answers(path))
    spec = all_answers.spec(path, given, before)
    plan = frameworks.resolve(spec).plan(spec)
    try:
        done = updates.update(path, spec, plan, dry_run=dry_run)
    except KeyboardInterrupt:
        raise Cancelled from None
    if as_json:
        _print_json(path, done)
    else:
        _show(done, dry_run=dry_run)
        if diff:
            print(done.diff, end="")
    if done.conflicts and not dry_run:
        raise typer.Exit(3)


def _print_json(path: Path, done: "Update") -> None:
    from scaffolder.cli.output import print_json

    editions = {"before": str(done.before), "after": str(done.after)}
    changes = [{"path": each.path, "becomes": each.kind} for each in done.changes]
    print_json({"path": str(path), **editions, "changes": changes})


def _show(done: "Update", *, dry_run: bool) -> None:
    from scaffolder.update import KINDS, TAKE_BACK

    arrow = f" -> {done.after}" if done.before != done.after else ", as before"
    print(f"Templates {done.before}{arrow}.")
    if not done.changes:
        print("Nothing to change: the project is what it would become.")
        return
    for kind, same in groupby(done.changes, key=lambda change: change.kind):
        paths = [change.path for change in same]
        print(f"\n{len(paths)} file(s) {KINDS[kind]}:")
        print("\n".join(f"  {path}" for path in paths))
    print()
    if dry_run:
        print("Nothing was changed (--dry-run); --diff shows the lines.")
        return
    if done.conflicts:
        print("Mend the marked places, `git add` each file, then commit.")
    else:
        print("All of it is staged: see `git diff --cached`, then commit.")
    if any(change.path == "pyproject.toml" for change in done.changes):
        print("Requirements may have changed: `make install`.")
    print(f"To take it back: {TAKE_BACK} in the project.")
