"""The commands of the command line.

Only Typer is imported here and in their modules; everything else is imported by the command that
needs it, so that `--version` and shell completion cost what Typer costs.
"""

from collections.abc import Sequence
from typing import Annotated, cast

import typer

from scaffolder import __version__
from scaffolder.cli import check, compare, frameworks, inspect, new, update
from scaffolder.cli.helped import AnswersCommand
from scaffolder.cli.quick import QuickCommand, QuickGroup

app = typer.Typer(
    name="rl-scaffolder",
    help="Render a complete training project from rollouts, for the framework of your choice.",
    cls=QuickGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new", cls=AnswersCommand)(new.new)
app.command("inspect", cls=QuickCommand)(inspect.inspect)
app.command("compare", cls=AnswersCommand)(compare.compare)
app.command("check", cls=QuickCommand)(check.check)
app.command("update", cls=AnswersCommand)(update.update)
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


def wants_json(words: Sequence[str]) -> bool:
    """Whether `--json` or `--format json` stands among the words as an option: not as a value,
    nor after `--`."""
    command = cast(typer.core.TyperGroup, typer.main.get_command(app))
    options = [each for found in command.commands.values() for each in found.params]
    valued = {name for each in options if not getattr(each, "is_flag", True) for name in each.opts}
    rest = iter(words)
    for word in rest:
        if word in {"--", "--json", "--format=json"}:
            return word != "--"
        if word in valued and next(rest, None) == "json" and word == "--format":
            return True
    return False
