"""`rl-scaffolder frameworks`: what can be rendered."""

import sys
from typing import Annotated, Any

import typer


def frameworks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """List the frameworks with their pinned versions and what each offers."""
    from scaffolder.cli.output import print_json, print_table
    from scaffolder.frameworks import broken

    offered = _offered()
    for error in broken().values():
        print(f"warning: {error}", file=sys.stderr)
    if as_json:
        print_json({"frameworks": offered})
        return
    print_table(
        ["framework", "version", "algorithms", "topologies", "patterns"],
        [
            [
                entry["name"],
                entry["version"],
                *(", ".join(entry[word]) for word in ("algorithms", "topologies", "patterns")),
            ]
            for entry in offered
        ],
    )


def _offered() -> list[dict[str, Any]]:
    from scaffolder.frameworks import discover

    return [
        {
            "name": framework.name,
            "version": framework.version,
            "algorithms": list(framework.algorithms),
            "topologies": list(framework.topologies),
            "patterns": list(framework.patterns),
            "tunings": list(framework.tunings),
            "shardings": list(framework.shardings),
            "generations": list(framework.generations),
        }
        for framework in discover().values()
    ]
