"""`rl-scaffolder inspect`: what rollouts hold, and what they can train."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaffolder.cli import options

if TYPE_CHECKING:
    from scaffolder.forecast import Outlook
    from scaffolder.rollouts import Inspection
    from scaffolder.uses import Use

SIGNS = {"good": "+", "note": "-", "warning": "!"}
FILES = 20
"""That are listed."""


def inspect(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Rollouts: a file, a folder, or - for stdin.")
    ],
    framework: options.Framework = None,
    algorithm: options.Algorithm = None,
    keys: options.Keys = None,
    assignments: options.Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show what rollouts hold, what is wrong with them, and which algorithms they can feed.

    With --framework and --algorithm, also exactly what that trainer will take of them.
    """
    from scaffolder import rollouts

    given = options.given(locals())
    expected = _outlook(path, given, assignments or [])
    found = rollouts.inspect(path, keys=keys or "")
    if as_json:
        from scaffolder.cli.output import print_json

        more = {} if expected is None else {"outlook": expected.as_json()}
        print_json({**found.as_json(), **more})
    else:
        _show(found, told=expected is not None)
        if expected is not None:
            print(f"\nWhat {framework} will do with them for {algorithm}\n")
            show_outlook(expected)
        _show_verdict(found, expected)
    if not found.summary["rollouts"] or (expected and expected.problem):
        raise typer.Exit(1)


def _outlook(path: str, given: Mapping[str, Any], assignments: Sequence[str]) -> "Outlook | None":
    """What a project of these choices would do; None where no framework was named."""
    from scaffolder import answers, forecast, frameworks
    from scaffolder.errors import InvalidAnswers

    if not {"framework", "algorithm"} & given.keys() and not assignments:
        return None
    if path == "-":
        raise InvalidAnswers(["PATH -: stdin is read only once; write the rollouts to a file"])
    chosen = answers.gather(None, assignments, {**given, "rollouts": path})
    spec = answers.spec(Path("inspected").absolute(), chosen)
    plan = frameworks.resolve(spec).plan(spec)
    return forecast.outlook(Path(path), spec, plan)


def show_outlook(outlook: "Outlook") -> None:
    """What becomes of rollouts, in a few lines."""
    from scaffolder.cli.output import say

    if outlook.read is not None:
        left = ", ".join(f"{count:,} {why}" for why, count in outlook.left_out.items())
        say(f"  lines    {outlook.read:,} read" + (f"; left out: {left}" if left else ""))
    for line in outlook.lines:
        say(f"  {line}")


def _show(found: "Inspection", *, told: bool) -> None:
    """All but the verdict.

    Args:
        told: whether what a trainer does is said exactly.
    """
    from scaffolder.cli.output import print_table, say
    from scaffolder.rollouts import tools_online

    summary = found.summary
    print(f"{found.path}: {found.counted} in {summary['read']:,} lines\n")
    if len(summary["files"]) > 1:
        print_table(["file", "lines", "used", ""], list(_files(summary["files"], found.path)))
    if summary["rollouts"]:
        print_table(["", "", "median", "5% to 95%"], list(_sizes(summary)), title="What is in them")
    if rejected := summary["rejected"]:
        examples = summary["examples"]
        rows = [[f"{count:,}", examples.get(why, why)] for why, count in rejected.items()]
        print_table(["lines", "reason"], rows, title="What cannot be used")
    for weight, text in found.findings:
        say(f" {SIGNS[weight]} {text}")
    if not summary["rollouts"]:
        return
    print("\nWhat they can train\n")
    for names, use in _alike(found.uses):
        shown = f"with {', '.join(use.frameworks)}" if use.frameworks else "no framework here yet"
        say(f" {SIGNS[use.weight]} {names}: {use.reason} ({shown})")
    if found.with_tools and not told:
        first, *each = tools_online(found.with_tools, summary["tasks"]["asked"])
        say("\n".join(["", f" {first}", *(f"   {line}" for line in each)]))


def _show_verdict(found: "Inspection", expected: "Outlook | None") -> None:
    from scaffolder.cli.output import say

    if expected is not None:
        stops = f"Training would stop: {expected.problem}. {expected.remedy}"
        say(f"\n{stops if expected.problem else 'Training takes them.'}")
        return
    say(f"\n{found.verdict}")
    if found.command:
        say(f"The command that fits:\n\n  {found.command}")


def _files(files: Sequence[Mapping[str, Any]], folder: str) -> Iterator[list[str]]:
    for each in files[:FILES]:
        name = each["name"].removeprefix(f"{folder.rstrip('/')}/")
        yield [name, f"{each['lines']:,}", f"{each['rollouts']:,}", each["reason"]]
    if len(files) > FILES:
        rest = files[FILES:]
        sums = [f"{sum(each[name] for each in rest):,}" for name in ("lines", "rollouts")]
        yield [f"{len(rest):,} more", *sums, ""]


def _alike(uses: "Sequence[Use]") -> Iterator[tuple[str, "Use"]]:
    """Algorithms side by side that are fed in the same way by the same frameworks."""
    for _, same in groupby(uses, key=lambda use: (use.reason, use.frameworks)):
        alike = list(same)
        yield ", ".join(use.algorithm for use in alike), alike[0]


def _sizes(summary: Mapping[str, Any]) -> Iterator[list[str]]:
    """What there is; nothing is said of what there is not."""
    marks = summary["marks"]
    counts = {
        "tasks": summary["tasks"]["count"],
        "agents": len(summary["agents"]),
        "solved": summary["solved"],
        "say what is right": marks["ground_truth"],
        "with reasoning": marks["reasoning"],
        "with tools": marks["tools"],
        "with tool calls": marks["calls"],
    }
    figures = {
        "rewards": summary["rewards"],
        "turns of the model": summary["turns"],
        "characters of the prompt": summary["prompt_characters"],
        "characters of the completion": summary["completion_characters"],
    }
    for name, count in counts.items():
        if count:
            yield [name, f"{count:,}", "", ""]
    for name, each in figures.items():
        if each is not None and (each["high"] or name == "rewards"):
            spread = f"{each['p05']:,.4g} to {each['p95']:,.4g}"
            yield [name, "", f"{each['median']:,.4g}", spread]
