"""`rl-scaffolder new`: from choices to a project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffolder.cli import options
from scaffolder.errors import Cancelled, InfeasiblePlan, UnsupportedChoice

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec


def new(
    directory: Annotated[
        str | None,
        typer.Argument(metavar="DIR", help="New or empty directory. [FRAMEWORK-ALGORITHM]"),
    ] = None,
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
    answers: options.AnswersFile = None,
    assignments: options.Assignments = None,
    yes: options.Yes = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show files and plan; write nothing.", rich_help_panel=options.RUN
        ),
    ] = False,
    git: Annotated[
        bool, typer.Option(help="Make it a git repository.", rich_help_panel=options.RUN)
    ] = True,
    as_json: options.AsJson = False,
) -> None:
    """Render a training project into DIR."""
    from scaffolder import answers as all_answers
    from scaffolder import nearby, render, wizard
    from scaffolder.cli import glance, output, summary

    given = all_answers.gather(answers, assignments or [], options.given(locals()))
    asking = not yes and not as_json and output.on_terminal()
    try:
        if directory is not None:
            render.check_target(all_answers.target(directory, given))
        if asking:
            all_answers.check_given(given)
            directory, given = wizard.ask(directory, given, glance.show)
        target = all_answers.target(directory, given)
        spec = all_answers.spec(target, given)
        plan = nearby.plan(spec)
        if asking and not dry_run:
            _confirm(target, spec, plan)
        if dry_run:
            files = render.preview(spec, plan)
        else:
            files = render.create(spec, plan, target, commit=git).files
    except (KeyboardInterrupt, EOFError):
        raise Cancelled from None
    except (InfeasiblePlan, UnsupportedChoice) as error:
        if asking:
            error.remedy += f"\nAll your answers: {options.command(given, directory)}"
        raise
    written = "" if dry_run else f"The project is written: {target}."
    with output.after(written):
        if as_json:
            _print_json(target, files, spec, plan)
            return
        if dry_run or not asking:
            summary.show(target, spec, plan)
        if dry_run:
            print("\n".join(files))
            print(f"\n{len(files)} files. Nothing was written (--dry-run).")
        else:
            summary.show_next_steps(target, count=len(files), plan=plan)


def _confirm(target: Path, spec: "ProjectSpec", plan: "Plan") -> None:
    """Show what will be written, and go on only if that is wanted."""
    from scaffolder import wizard
    from scaffolder.cli import summary

    summary.show(target, spec, plan)
    if not wizard.confirm():
        raise Cancelled


def _print_json(target: Path, files: list[str], spec: "ProjectSpec", plan: "Plan") -> None:
    from scaffolder.cli.output import print_json

    print_json(
        {
            "path": str(target),
            "files": files,
            "answers": spec.model_dump(mode="json"),
            "plan": plan.model_dump(mode="json"),
        }
    )
