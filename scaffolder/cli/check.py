"""`rl-scaffolder check`: what would stop a project's launch."""

from pathlib import Path
from typing import Annotated

import typer

from scaffolder.cli import options
from scaffolder.errors import InvalidAnswers

FORMATS = ("text", "json", "github", "sarif")


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A rendered project.")] = Path(),
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="`file:line: error: ...` for people and editors; JSON for scripts; annotations of "
            "GitHub Actions; SARIF 2.1.0 for code scanning.  [text]",
            autocompletion=options.one_of(FORMATS),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Find what would stop a project or spoil its run: keys, batches, files, versions, GPUs."""
    from scaffolder.check import check as find
    from scaffolder.cli import findings

    chosen = form or ("json" if as_json else "text")
    if chosen not in FORMATS:
        raise InvalidAnswers([f"--format {chosen}: can be {', '.join(FORMATS)}"])
    if as_json and chosen != "json":
        raise InvalidAnswers([f"--json and --format {chosen}: take one of them"])
    found = find(directory)
    {
        "text": findings.show,
        "json": findings.show_json,
        "github": findings.show_github,
        "sarif": findings.show_sarif,
    }[chosen](found, directory)
    if any(finding.weight == "error" for finding in found):
        raise typer.Exit(1)
