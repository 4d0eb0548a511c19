"""`rl-scaffolder new`: from choices to a project."""

from typing import TYPE_CHECKING, Annotated

import typer

from scaffolder.cli import options
from scaffolder.errors import Cancelled

if TYPE_CHECKING:
    from scaffolder.render import Project
    from scaffolder.resolving import Resolved


def new(
    directory: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR", help="New or empty directory, or a fresh clone. [FRAMEWORK-ALGORITHM]"
        ),
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
    keys: options.Keys = None,
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
        bool, typer.Option(help="Commit it to git.", rich_help_panel=options.RUN)
    ] = True,
    as_json: options.AsJson = False,
) -> None:
    """Render a training project into DIR."""
    from scaffolder import answers as all_answers
    from scaffolder import render, resolving
    from scaffolder.cli import asked, glance, output, summary

    words = assignments or []
    given = all_answers.gather_usable(answers, words, options.given(locals()))
    malformed = all_answers.malformed(words)
    asking = not yes and not as_json and output.on_terminal()
    again, found = "", None
    if asking:
        resolving.check_given(directory, given, malformed)
        chosen, again, found = asked.ask(directory, given, confirm=not dry_run)
    else:
        chosen = resolving.resolve(directory, given, malformed)
        found = summary.look(chosen.spec, warn="rollouts" in given)
    try:
        project = (
            render.preview(chosen.spec, chosen.plan, chosen.target)
            if dry_run
            else render.create(chosen.spec, chosen.plan, chosen.target, commit=git)
        )
    except KeyboardInterrupt:
        raise Cancelled(options.wrapped(again) if again else "") from None
    with output.after("" if dry_run else f"The project is written: {chosen.target}."):
        if as_json:
            _print_json(chosen, project)
            return
        if dry_run or not asking:
            summary.show(chosen.target, chosen.spec, chosen.plan, found)
            glance.show_stops(chosen.spec, chosen.plan, found)
        if dry_run:
            print("\n".join(project.files))
            print(f"\n{len(project.files)} files. Nothing was written (--dry-run).")
        else:
            summary.show_next_steps(chosen.target, project, chosen.plan)
        if again:
            print(f"\nThe same again:\n\n{options.wrapped(again)}")


def _print_json(chosen: "Resolved", project: "Project") -> None:
    from scaffolder.cli.output import print_json

    print_json(
        {
            "path": str(chosen.target),
            "files": project.files,
            "answers": chosen.spec.model_dump(mode="json"),
            "plan": chosen.plan.model_dump(mode="json"),
            "committed": project.committed,
            "left_alone": list(project.left_alone),
        }
    )
