"""From the command line of `prepare_for_*.py` to the rows of each kind."""

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .data.called import name_of_hook
from .data.filter import TaskRules
from .data.hooks import own_row
from .data.rows import Row, renamed, with_text_arguments
from .engine.choose import PairRules
from .engine.parquet import Columns
from .engine.write import beside
from .errors import UserError
from .pipeline import Recipe, Wanted
from .values import Kind, demand

PER_TURN = frozenset({"sft", "unpaired"})
"""Kinds of which each turn of the model can be a row."""


def wanted_of(
    arguments: argparse.Namespace, kinds: Sequence[Kind], rows: Mapping[str, Row], framework: Any
) -> list[Wanted]:
    """What is made of each kind.

    Raises:
        UserError: for options that none of the kinds has a use for.
    """
    if len(kinds) > 1 and "prompts" in kinds:
        name = beside(arguments.output, ".prompts.jsonl").name
        raise UserError(
            f"--kind prompts is not made together with others: {name} is the name of the held-out "
            "prompts, which every run writes.",
            "Prepare the prompts in a run of their own.",
        )
    columns = {kind: _columns(arguments, rows, framework, kind) for kind in kinds}
    _demand_columns(arguments.columns, columns)
    _demand_use_of_per_turn(arguments, kinds)
    found = []
    for kind in kinds:
        own = rows[kind] is not framework.ROWS.get(kind)
        row = own_row(rows[kind]) if own else rows[kind]
        found.append(Wanted(_recipe(arguments, kind), row, columns[kind], own))
    return [_with_form(arguments, each) for each in found]


def _columns(
    arguments: argparse.Namespace, rows: Mapping[str, Row], framework: Any, kind: Kind
) -> Columns:
    """The columns of a kind, where they are known."""
    name = framework.__name__.rpartition(".")[2]
    if kind not in rows:
        remedy = framework.REFUSED.get(kind, "Choose another --kind.")
        raise UserError(f"There are no {kind} rows for {name}.", remedy)
    if rows[kind] is not framework.ROWS.get(kind):
        _refuse_for_own_rows(arguments, kind, rows[kind])
        return {}
    columns: Columns = framework.COLUMNS[kind]
    if arguments.output.suffix == ".parquet" and not columns:
        problem = f"The columns of {kind} rows for {name} are not known."
        raise UserError(problem, "Write .jsonl.")
    return columns


def _refuse_for_own_rows(arguments: argparse.Namespace, kind: Kind, row: Row) -> None:
    made = f"{kind} rows are made by {name_of_hook(row)}, whose columns are not known"
    if arguments.output.suffix == ".parquet":
        problem = f"--output {arguments.output}: {made}, and parquet declares them."
        raise UserError(problem, "Write .jsonl.")
    if arguments.columns:
        raise UserError(
            f"--columns: {made}.", "Give them their names there, and leave out --columns."
        )


def _demand_columns(keys: Sequence[tuple[str, str]], columns: Mapping[Kind, Columns]) -> None:
    """Refuse new names for keys that no row has."""
    known = list(dict.fromkeys(key for each in columns.values() for key in each))
    if unknown := sorted({old for old, _ in keys} - set(known)):
        raise UserError(
            f"--columns: {' and '.join(columns)} rows have no {', no '.join(unknown)}.",
            f"They have {', '.join(known) or 'no fixed keys'}.",
        )


def _demand_use_of_per_turn(arguments: argparse.Namespace, kinds: Sequence[Kind]) -> None:
    if not arguments.per_turn:
        return
    if not PER_TURN.intersection(kinds):
        raise UserError(f"--per_turn is not for {' and '.join(kinds)} data.", "Leave it out.")
    if arguments.select != "all":
        raise UserError(
            f"--select {arguments.select} takes one row a task, and --per_turn makes several of "
            "one rollout.",
            "Filter for the rollouts first: filter_rollouts.py --max_per_task 1.",
        )


def _with_form(arguments: argparse.Namespace, wanted: Wanted) -> Wanted:
    """Rows with the names, and the arguments of calls, that were asked for."""
    row, columns = wanted.row, wanted.columns
    names = {old: new for old, new in arguments.columns if old in columns}
    if arguments.arguments == "text":
        row = with_text_arguments(row)
    if names:
        row = renamed(row, names)
    columns = {names.get(column, column): each for column, each in columns.items()}
    return wanted._replace(row=row, columns=columns)


def _recipe(arguments: argparse.Namespace, kind: Kind) -> Recipe:
    demand("--eval_share", arguments.eval_share)
    demand("--min_margin", arguments.min_margin, math.inf)
    demand("--max_pairs", arguments.max_pairs, math.inf, 1)
    return Recipe(
        kind=kind,
        eval_share=arguments.eval_share,
        min_reward=arguments.min_reward,
        keep_masked=arguments.keep_masked,
        keep_failed=arguments.keep_failed,
        good_from=arguments.good_from,
        tasks=TaskRules(
            duplicates=arguments.duplicates,
            select="one" if kind == "prompts" else arguments.select,
        ),
        pairs=PairRules(arguments.min_margin, arguments.pairs, arguments.max_pairs),
        whole_completions=bool(arguments.whole),
        per_turn=bool(arguments.per_turn) and kind in PER_TURN,
        arguments=arguments.arguments,
    )
