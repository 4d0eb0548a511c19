"""`rl-scaffolder check`: what would stop a project's launch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffolder.project import Finding


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A rendered project.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Find what would stop a project or spoil its run: keys, batches, files, versions, GPUs."""
    from scaffolder.check import check as find

    found = find(directory)
    if as_json:
        from dataclasses import asdict

        from scaffolder.cli.output import print_json

        print_json({"findings": [asdict(finding) for finding in found]})
    else:
        _show(found)
    if any(finding.weight == "error" for finding in found):
        raise typer.Exit(1)


def _show(found: "Sequence[Finding]") -> None:
    from scaffolder.cli.output import print_table

    if found:
        rows = [[each.weight, each.place, each.problem, each.remedy] for each in found]
        print_table(["", "where", "problem", "remedy"], rows, unbroken="where")
    errors = sum(finding.weight == "error" for finding in found)
    print(f"{errors} error(s)." if errors else "Nothing that would stop it was found.")
