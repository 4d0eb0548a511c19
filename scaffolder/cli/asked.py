"""The conversation of `new`: questions, what follows from the answers, and the way back."""

from typing import TYPE_CHECKING

from scaffolder.cli import glance, options, summary
from scaffolder.errors import Cancelled, UserError

if TYPE_CHECKING:
    from scaffolder.answers import Answers
    from scaffolder.resolving import Resolved
    from scaffolder.rollouts import Inspection
    from scaffolder.wizard import Wizard


def ask(
    directory: str | None, given: "Answers", *, confirm: bool
) -> "tuple[Resolved, str, Inspection | None]":
    """Ask until there is a plan that is wanted.

    Returns:
        What will be rendered, the command that makes the same, and what is in the rollouts.

    Raises:
        Cancelled: with the command that goes on from what was said.
        UserError: what stands in the way, where nothing was asked that could be changed.
    """
    from scaffolder import wizard
    from scaffolder.conversation import GoBack

    talk = wizard.Wizard(directory, given, glance.show)
    try:
        while True:
            if (chosen := _resolved(talk)) is None:
                continue
            summary.show(chosen.target, chosen.spec, chosen.plan, talk.found)
            glance.show_outlook(chosen.spec, chosen.plan)
            try:
                if not confirm or talk.confirm():
                    return chosen, command_of(talk, whole=True), talk.found
            except GoBack:
                talk.back()
                continue
            raise KeyboardInterrupt
    except (KeyboardInterrupt, EOFError):
        raise Cancelled(options.wrapped(command_of(talk))) from None


def _resolved(talk: "Wizard") -> "Resolved | None":
    """What follows from all answers; None where one of them was taken back, because it cannot."""
    try:
        talk.ask()
        return talk.resolved()
    except UserError as error:
        if not talk.replies:
            raise
        print()
        glance.show(error)
        print(f"\nAll your answers:\n\n{options.wrapped(command_of(talk, whole=True))}\n")
        talk.change()
        return None


def command_of(talk: "Wizard", *, whole: bool = False) -> str:
    """The command with all that was said so far.

    Args:
        whole: whether nothing is left to be asked.
    """
    return options.command(talk.answers, talk.directory, all_said=True, ask=not whole)
