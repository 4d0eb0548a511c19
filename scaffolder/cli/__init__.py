"""The command line: parse, call, print.

Only Typer is imported here and in the command modules; everything else is imported by the command
that needs it, so that `--version` and shell completion cost what Typer costs.
"""

import io
import sys
from typing import Annotated, NoReturn

import typer

from scaffolder import __version__
from scaffolder.cli import check, compare, frameworks, inspect, new, update
from scaffolder.cli.quick import QuickCommand, QuickGroup
from scaffolder.errors import UserError

app = typer.Typer(
    name="rl-scaffolder",
    help="Render a complete training project from rollouts, for the framework of your choice.",
    cls=QuickGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new", cls=QuickCommand)(new.new)
app.command("inspect", cls=QuickCommand)(inspect.inspect)
app.command("compare", cls=QuickCommand)(compare.compare)
app.command("check", cls=QuickCommand)(check.check)
app.command("update", cls=QuickCommand)(update.update)
app.command("frameworks", cls=QuickCommand)(frameworks.frameworks)


def _version(value: bool) -> None:
    if value:
        print(f"rl-scaffolder {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of `rl-scaffolder`: the one place that prints errors."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        _fail(error)


def _fail(error: UserError) -> NoReturn:
    if "--json" in sys.argv[1:]:
        from scaffolder.cli.output import print_json

        report = {"problem": error.problem, "reasons": error.reasons, "remedy": error.remedy}
        print_json({"error": report})
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
