"""Shell completion without converting values.

To complete a word, Typer parses the words before it and converts their values, for which it imports
pydantic: more than twice the cost of all the rest, at each press of the tab key. Nothing that is
completed here depends on converted values, so these classes only split the words.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _split(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> list[str]:
    """The words that no parameter takes."""
    parser = command.make_parser(ctx)
    _, rest, _ = parser.parse_args(args=args)
    ctx._opt_prefixes.update(parser._opt_prefixes)
    return rest


class QuickCommand(TyperCommand):
    """A command that completes fast."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.args = _split(self, ctx, args)
        return list(ctx.args)


class QuickGroup(TyperGroup):
    """A group of commands that completes fast; the first word left over names the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        rest = _split(self, ctx, args)
        ctx._protected_args, ctx.args = rest[:1], rest[1:]
        return list(ctx.args)
