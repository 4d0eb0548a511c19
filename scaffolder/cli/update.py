"""`rl-scaffolder update`: newer templates, or other answers, for a project that is there."""

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffolder.cli import options
from scaffolder.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffolder.carrying import Carried
    from scaffolder.merging import Change
    from scaffolder.moved import Moved
    from scaffolder.update import LibraryChange, Update


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
    keys: options.Keys = None,
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
    from scaffolder import nearby, saved
    from scaffolder import update as updates
    from scaffolder.cli import output

    given = all_answers.gather(None, assignments or [], options.given(locals()))
    path = all_answers.absolute(directory)
    before = saved.read(path)
    spec = all_answers.spec(path, given, before.spec.model_dump())
    plan = nearby.plan(spec)
    try:
        done = updates.update(before, spec, plan, given=given.keys(), dry_run=dry_run)
    except KeyboardInterrupt:
        raise Cancelled from None
    with output.after(_in_short(done)):
        if as_json:
            _print_json(path, done)
        else:
            _show(done, dry_run=dry_run)
            if diff:
                print(done.diff, end="")
    if done.conflicts and not dry_run:
        raise typer.Exit(3)


def _in_short(done: "Update") -> str:
    if not done.take_back:
        return ""
    return f"The update is done: see `git status`. {_to_take_back(done)}"


def _to_take_back(done: "Update") -> str:
    return f"To take it back: `{done.take_back}` in the project."


def _print_json(path: Path, done: "Update") -> None:
    from scaffolder.cli.output import print_json

    editions = {"before": str(done.before), "after": str(done.after)}
    now = done.moved.files
    changes = [
        {"path": each.path, "becomes": each.kind}
        | ({"now": now[each.path]} if each.path in now else {})
        | ({} if each.in_git else {"in_git": False})
        for each in done.changes
    ]
    about = {"library": asdict(done.library), "changes": changes}
    imports = [each._asdict() for each in done.moved.imports]
    carried = [asdict(each) for each in done.carried]
    print_json({"path": str(path), **editions, **about, "imports": imports, "carried": carried})


def _show(done: "Update", *, dry_run: bool) -> None:
    from scaffolder.merging import KINDS

    arrow = f" -> {done.after}" if done.before != done.after else ", as before"
    print(f"Templates {done.before}{arrow}.")
    if not done.changes:
        print("Nothing to change: the project is what it would become.")
        return
    _show_library(done.library)
    for kind, same in groupby(done.changes, key=lambda change: change.kind):
        paths = [change.path for change in same]
        print(f"\n{len(paths)} file(s) {KINDS[kind]}:")
        print("\n".join(f"  {path}" for path in paths))
    _show_carried(done.carried)
    _show_moved(done.moved)
    _show_not_in_git([each.path for each in done.changes if not each.in_git])
    print()
    if dry_run:
        print("Nothing was changed (--dry-run); --diff shows the lines.")
        return
    if done.conflicts:
        _show_conflicts([each for each in done.changes if each.kind == "conflict"])
    else:
        print("All of it is staged: see `git diff --cached`, then commit.")
    if done.library.changed or any(each.path == "pyproject.toml" for each in done.changes):
        print("Requirements may have changed: `make install`.")
    print(_to_take_back(done))


def _show_library(change: "LibraryChange") -> None:
    if not change.changed:
        return
    arrow = f"{', '.join(change.before)} -> {change.after}" if change.before else change.after
    print(f"The library in vendor/: rl_rollouts {arrow}.")
    if change.own:
        print("rl_rollouts/ is your own of it (make own), comes before it, and stays as it is:")
        print("move it away to use the new one; `make own` unpacks that to compare the two.")


def _show_not_in_git(paths: "Sequence[str]") -> None:
    if paths:
        print(
            "\nNot in git, and left as they are; `git show :3:./FILE` is the template's, `git rm`"
        )
        print("`--cached FILE` says that you are done with it:")
        print("\n".join(f"  {path}" for path in paths))


def _show_carried(carried: "Sequence[Carried]") -> None:
    """What became of edits in the config of another framework."""
    from scaffolder.yaml_lines import shown

    if carried:
        print("\nWhat you had changed in the config:")
    for each in carried:
        why = f" ({each.why})" if each.why else ""
        print(f"  {each.key}: {shown(each.value)}")
        print(f"    -> {each.to}" if each.to else f"    has no counterpart{why}")


def _show_conflicts(conflicts: "Sequence[Change]") -> None:
    marked = [each for each in conflicts if each.marked]
    if marked:
        print("Mend the marked places, `git add` each file, then commit.")
    if whole := [each.path for each in conflicts if not each.marked and each.in_git]:
        print(f"No place is marked in {', '.join(whole)}: one side has no such file.")
        print("`git add FILE` keeps it, `git rm FILE` lets it go; then commit.")


def _show_moved(moved: "Moved") -> None:
    """What an owner does who had changed, or imports, what the library has now."""
    if moved.files:
        print("\nThe library has these now; what you changed in them stands in the project still:")
        print("\n".join(f"  {path} is {now} now" for path, now in moved.files.items()))
        print(
            "Hooks in filter_rollouts.py and prepare_for_*.py may do what you changed; where they\n"
            "do not, `make own` unpacks the library to be changed. Then `git rm` the old file."
        )
    if moved.imports:
        print("\nYour files import what the library has now; change it there:")
        print("\n".join(f"  {path}: {name} is {now} now" for path, name, now in moved.imports))
