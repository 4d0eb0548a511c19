"""`rl-scaffolder compare`: which framework, and why."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaffolder import vocabulary
from scaffolder.cli import options
from scaffolder.errors import Cancelled


def compare(
    want: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WISH",
            help=f"What matters to you; repeat it for more: {', '.join(vocabulary.WISHES)}.",
            autocompletion=options.one_of(vocabulary.WISHES),
        ),
    ] = None,
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
    as_json: options.AsJson = False,
) -> None:
    """Say which framework can do what you want, how well, and why."""
    from scaffolder import answers as all_answers
    from scaffolder import choosing, criteria, frameworks, resolving
    from scaffolder import compare as comparison
    from scaffolder import rollouts as recorded
    from scaffolder.cli import compared, glance
    from scaffolder.cli.output import on_terminal, print_json

    given = all_answers.gather(answers, assignments or [], options.given(locals()))
    given = {name: given[name] for name in given if name not in {"framework", "project_name"}}
    wishes = criteria.known_wishes(want or [])
    for error in frameworks.broken().values():
        print(f"warning: {error}", file=sys.stderr)
    if not yes and not as_json and on_terminal():
        resolving.check_given(None, given)
        talk = choosing.Choosing(given, wishes, glance.show)
        try:
            talk.ask()
        except (KeyboardInterrupt, EOFError):
            raise Cancelled from None
        given, wishes, fitting = talk.answers, talk.wishes, talk.fitting
    elif not given and not wishes and not as_json:
        offered = list(frameworks.discover().values())
        compared.show_table(offered, criteria.rows(offered))
        return
    else:
        typed = "rollouts" in all_answers.gather(None, assignments or [], {"rollouts": rollouts})
        path = given.get("rollouts") if typed or "algorithm" not in given else None
        fitting = (
            recorded.fitting(str(path), str(given.get("keys") or ""), typed=typed) if path else None
        )
    anything = {"algorithm": vocabulary.ALGORITHMS[0], **given, "framework": "any"}
    spec = all_answers.spec(Path("project"), anything)
    said = spec.algorithm if "algorithm" in given else None
    found = comparison.compare(spec, said, wishes, fitting)
    commands = {
        each.name: options.command({**given, "framework": each.name, "algorithm": each.algorithm})
        for each in found.possible
    }
    instead = {
        each.name: [
            (
                other.words,
                options.command(
                    {**given, "framework": each.name, "algorithm": name, **other.changes}
                ),
            )
            for name, other in each.instead
        ]
        for each in found.candidates
    }
    if as_json:
        print_json(compared.as_json(found, commands, instead))
    else:
        compared.show(found, commands, instead)
    if not found.possible:
        raise typer.Exit(1)
