"""What was measured as Markdown, with samples side by side."""

import html
import json
import re
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from .prompts import Row
from .table import Measure, Results, cells, heads

SAMPLES = 12
"""Prompts that are shown."""
LETTERS = 800
"""Of a text that is shown: its beginning and its end."""


def report(
    results: Results, measures: Sequence[Measure], notes: Sequence[str], samples: int
) -> str:
    """The whole file.

    Args:
        notes: sentences below the table.
        samples: responses to each prompt; 0 for pairs.
    """
    titles = heads(len(results))
    lines = ["# Evaluation", ""]
    lines += [f"- {title}: `{name}`" for title, name in zip(titles, results, strict=False)]
    lines += ["", *_table(["", *titles], [[each.name, *cells(each)] for each in measures]), ""]
    lines += [f"{note}\n" for note in notes]
    shown = _responses(results, samples) if samples else _pairs(results)
    return "\n".join([*lines, *shown])


def _responses(results: Results, samples: int) -> Iterator[str]:
    """The prompts whose reward changed most, with a typical response of the first and the last."""
    models = list(results.values())
    before, after = models[0], models[-1]
    starts = range(0, len(before), samples)
    sides = [[rows[at : at + samples] for rows in (before, after)] for at in starts]
    changes = [_mean(new) - _mean(old) for old, new in sides]
    order = sorted(range(len(sides)), key=lambda at: -abs(changes[at]))[:SAMPLES]
    compare = len(models) > 1
    yield f"## {len(order)} prompts" + (", the most changed first" if compare else "")
    for number, at in enumerate(order, 1):
        old, new = map(_typical, sides[at])
        change = f": {changes[at]:+.3f}" if compare else ""
        yield f"\n### {number}. {cell(new['task'], 80)}{change}\n"
        yield f"Prompt: {cell(_asked(new))}\n"
        yield f"Ground truth: {cell(_text(new['ground_truth']))}\n"
        shown = [("before", old), ("after", new)] if compare else [("response", new)]
        titles = [f"{title}, reward {row['reward']:.3g}, {_length(row)}" for title, row in shown]
        yield from _table(titles, [[cell(row["response"]) for _, row in shown]])


def _pairs(results: Results) -> Iterator[str]:
    """The pairs that the last model has most wrong."""
    rows = sorted(list(results.values())[-1], key=lambda row: row["margin"])[:SAMPLES]
    yield f"## {len(rows)} pairs, the most wrong first"
    for number, row in enumerate(rows, 1):
        yield f"\n### {number}. margin {row['margin']:+.3f}\n"
        yield f"Prompt: {cell(_asked(row))}\n"
        titles = [f"{side}, score {row[f'{side}_score']:.3f}" for side in ("chosen", "rejected")]
        yield from _table(titles, [[cell(_turns(row["chosen"])), cell(_turns(row["rejected"]))]])


def cell(text: str, letters: int = LETTERS) -> str:
    """Text that shows itself in a Markdown table, whatever it is."""
    if len(text) > letters:
        half = letters // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} letters ...]\n{text[-half:]}"
    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    text = re.sub(r"([\\`*_{}\[\]()#+~|!$-])", r"\\\1", html.escape(text.strip(), quote=False))
    return re.sub(r"\n+", "<br>", text) or "*nothing*"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    line = "| " + " | ".join("---" for _ in titles) + " |"
    return [f"| {' | '.join(titles)} |", line, *(f"| {' | '.join(row)} |" for row in rows)]


def _mean(rows: Sequence[Row]) -> float:
    return statistics.fmean(row["reward"] for row in rows)


def _typical(rows: Sequence[Row]) -> Row:
    """The sample whose reward is nearest to the mean."""
    return min(rows, key=lambda row: abs(row["reward"] - _mean(rows)))


def _length(row: Row) -> str:
    return f"{row['tokens']} tokens" + (", cut" if row["cut"] else "")


def _asked(row: Row) -> str:
    """The last message of the prompt."""
    return _text(row["prompt"][-1].get("content"))


def _turns(messages: Sequence[dict[str, Any]]) -> str:
    """What stands in a completion."""
    parts = [_text(message.get("content")) for message in messages]
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return "\n".join(filter(None, [*parts, *(json.dumps(call["function"]) for call in calls)]))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
