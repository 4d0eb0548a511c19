"""`rl-scaffolder new`: from choices to a project."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaffolder import vocabulary
from scaffolder.errors import Cancelled, InfeasiblePlan, UnsupportedChoice

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec


def _complete_framework(incomplete: str) -> list[str]:
    from scaffolder.frameworks import names

    return [name for name in names() if name.startswith(incomplete)]


def _one_of(words: Iterable[str]) -> Any:
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


CHOICES = "Choices"
RUN = "How to run"


def new(
    directory: Annotated[
        str | None,
        typer.Argument(metavar="DIR", help="New or empty directory. [FRAMEWORK-ALGORITHM]"),
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option(
            help="Training framework.", autocompletion=_complete_framework, rich_help_panel=CHOICES
        ),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="What to do with the data.",
            autocompletion=_one_of(vocabulary.ALGORITHMS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="How data, training and generation follow each other.",
            autocompletion=_one_of(vocabulary.PATTERNS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    topology: Annotated[
        str | None,
        typer.Option(
            help="Where the GPUs are.",
            autocompletion=_one_of(vocabulary.TOPOLOGIES),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    nodes: Annotated[
        str | None, typer.Option(metavar="N", help="Machines.", rich_help_panel=CHOICES)
    ] = None,
    gpus_per_node: Annotated[
        str | None, typer.Option(metavar="N", help="GPUs of one machine.", rich_help_panel=CHOICES)
    ] = None,
    gpu_memory: Annotated[
        str | None,
        typer.Option(metavar="GIB", help="Memory of one GPU, GiB.", rich_help_panel=CHOICES),
    ] = None,
    tuning: Annotated[
        str | None,
        typer.Option(
            help="All weights, or adapters.",
            autocompletion=_one_of(vocabulary.TUNINGS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    sharding: Annotated[
        str | None,
        typer.Option(
            help="What the training processes share.",
            autocompletion=_one_of(vocabulary.SHARDINGS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    generation: Annotated[
        str | None,
        typer.Option(
            help="What generates, for online algorithms.",
            autocompletion=_one_of(vocabulary.GENERATIONS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Hugging Face id or local folder.", rich_help_panel=CHOICES)
    ] = None,
    rollouts: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Rollouts, a file or folder.", rich_help_panel=CHOICES),
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            help="Where the loss curve goes.",
            autocompletion=_one_of(vocabulary.TRACKERS),
            rich_help_panel=CHOICES,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Answers as YAML or JSON; flags win.", rich_help_panel=CHOICES
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other answer.", rich_help_panel=CHOICES
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; take defaults.", rich_help_panel=RUN)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show files and plan; write nothing.", rich_help_panel=RUN),
    ] = False,
    git: Annotated[
        bool, typer.Option(help="Make it a git repository.", rich_help_panel=RUN)
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts.", rich_help_panel=RUN)
    ] = False,
) -> None:
    """Render a training project into DIR."""
    from scaffolder import answers as all_answers
    from scaffolder import frameworks, render, wizard

    flags = {
        "framework": framework,
        "algorithm": algorithm,
        "pattern": pattern,
        "topology": topology,
        "nodes": nodes,
        "gpus_per_node": gpus_per_node,
        "gpu_memory": gpu_memory,
        "tuning": tuning,
        "sharding": sharding,
        "generation": generation,
        "model": model,
        "rollouts": rollouts,
        "tracker": tracker,
    }
    given = all_answers.gather(answers, assignments or [], flags)
    asking = not yes and not as_json and _on_terminal()
    try:
        if directory is not None:
            render.check_target(all_answers.target(directory, given))
        if asking:
            all_answers.check_given(given)
            directory, given = wizard.ask(directory, given)
        target = all_answers.target(directory, given)
        spec = all_answers.spec(target, given)
        plan = frameworks.resolve(spec).plan(spec)
        if asking and not dry_run and not wizard.confirm(target, spec, plan):
            raise Cancelled
        if dry_run:
            files = render.preview(spec, plan)
        else:
            files = render.create(spec, plan, target, git=git).files
    except (KeyboardInterrupt, EOFError):
        raise Cancelled from None
    except (InfeasiblePlan, UnsupportedChoice) as error:
        if asking:
            error.remedy += f"\nAll your answers: {all_answers.command_of(directory, given)}"
        raise
    if as_json:
        _print_json(target, files, spec, plan)
        return
    if dry_run or not asking:
        wizard.show(target, spec, plan)
    if dry_run:
        print("\n".join(files))
        print(f"\n{len(files)} files. Nothing was written (--dry-run).")
    else:
        wizard.show_next_steps(target, count=len(files), plan=plan)


def _on_terminal() -> bool:
    """A closed stream is None."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


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
