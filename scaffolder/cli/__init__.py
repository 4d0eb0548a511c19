"""The command line: parse, call, print."""

import errno
import os
import shlex
import signal
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typer import Typer

    from scaffolder.errors import UserError


def main() -> None:
    """Entry point of `rl-scaffolder`: the one place that prints errors.

    Until the commands are there, and after them, Ctrl-C ends the process as it ends any other.
    """
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("PATH", os.defpath)  # or some look for git, and others do not
    # They are for developers, and must be no errors where PYTHONWARNINGS makes them some.
    with warnings.catch_warnings(action="ignore"):
        from scaffolder.cli import app, output
        from scaffolder.errors import UserError

        output.use_streams()
        signal.signal(signal.SIGINT, heard)
        try:
            code = _run(app.app)
        except UserError as error:
            _fail(error)
        finally:
            if heard is signal.default_int_handler:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _run(app: "Typer") -> int:
    """The command that was typed; its exit code."""
    from typer import Abort
    from typer.exceptions import TyperException

    from scaffolder.cli import output
    from scaffolder.errors import Cancelled, WrongUsage

    try:
        with output.after(""):
            return app(standalone_mode=False) or 0
    except Abort:
        raise Cancelled from None
    except TyperException as error:
        if not error.format_message().strip():  # it has shown the help instead
            return error.exit_code
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "rl-scaffolder"
        raise WrongUsage(error.format_message(), command) from None


def _fail(error: "UserError") -> NoReturn:
    from scaffolder.cli import app, output
    from scaffolder.errors import CannotPrint
    from scaffolder.instead import TooLarge

    words = sys.argv[1:]
    asked = output.on_terminal() and not {"--yes", "-y"} & {*words}
    if isinstance(error, TooLarge) and not asked:
        error.offer(shlex.join(["rl-scaffolder", *words]))
    said = f"error: {error}"
    if isinstance(error, CannotPrint):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left cannot be printed either
        if error.number == errno.EPIPE and not error.remedy:  # as `head` does
            said = ""
    elif app.wants_json(sys.argv[1:]):
        report = {"problem": error.problem, "reasons": error.reasons, "remedy": error.remedy}
        output.print_json({"error": report})
    if said and sys.stderr:
        with suppress(OSError):
            print(output.fitted(said, sys.stderr), file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
