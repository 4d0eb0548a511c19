"""`rl-scaffolder inspect`: what rollouts hold, and what they can train."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from scaffolder.rollouts import Inspection, Use

SIGNS = {"good": "+", "note": "-", "warning": "!"}


def inspect(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Rollouts: a file, a folder, or - for stdin.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show what rollouts hold, what is wrong with them, and which algorithms they can feed."""
    from scaffolder import rollouts

    found = rollouts.inspect(path)
    if as_json:
        from scaffolder.cli.output import print_json

        print_json(found.as_json())
    else:
        _show(found)
    if not found.summary["rollouts"]:
        raise typer.Exit(1)


def _show(found: "Inspection") -> None:
    from scaffolder.cli.output import print_table

    summary = found.summary
    print(f"{found.path}: {summary['rollouts']:,} rollouts in {summary['read']:,} lines\n")
    print_table(["", "", "median", "5% to 95%"], list(_sizes(summary)), title="What is in them")
    if rejected := summary["rejected"]:
        rows = [[f"{count:,}", reason] for reason, count in rejected.items()]
        print_table(["lines", "reason"], rows, title="What cannot be used")
    for weight, text in found.findings:
        print(f" {SIGNS[weight]} {text}")
    print("\nWhat they can train\n")
    for names, use in _alike(found.uses):
        shown = f"with {', '.join(use.frameworks)}" if use.frameworks else "no framework here yet"
        print(f" {SIGNS['good' if use.feasible else 'warning']} {names}: {use.reason} ({shown})")
    if found.command:
        print(f"\nThe command that fits:\n\n  {found.command}")


def _alike(uses: "Sequence[Use]") -> Iterator[tuple[str, "Use"]]:
    """Algorithms side by side that are fed in the same way by the same frameworks."""
    for _, same in groupby(uses, key=lambda use: (use.reason, use.frameworks)):
        alike = list(same)
        yield ", ".join(use.algorithm for use in alike), alike[0]


def _sizes(summary: Any) -> list[list[str]]:
    tasks, marks = summary["tasks"], summary["marks"]
    agents = len(summary["agents"])
    figures = {
        "rewards": summary["rewards"],
        "turns of the model": summary["turns"],
        "characters of the prompt": summary["prompt_characters"],
        "characters of the completion": summary["completion_characters"],
    }
    rows = [
        ["tasks", f"{tasks['count']:,}", "", ""],
        ["agents", f"{agents:,}", "", ""],
        ["solved", f"{summary['solved']:,}", "", ""],
        ["with reasoning", f"{marks['reasoning']:,}", "", ""],
        ["with tool calls", f"{marks['calls']:,}", "", ""],
    ]
    for name, each in figures.items():
        if each is not None:
            spread = f"{each['p05']:,.4g} to {each['p95']:,.4g}"
            rows.append([name, "", f"{each['median']:,.4g}", spread])
    return rows
