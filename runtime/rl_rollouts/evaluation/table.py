"""What was measured of each model, and how it changed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .prompts import Row

Results = Mapping[str, Sequence[Row]]
"""Rows of each model, the first model being the one before training."""
Form = Literal["count", "share", "tokens", "number"]
FORMS: dict[Form, str] = {"count": "{:,.0f}", "share": "{:.1%}", "tokens": "{:,.1f}"}


class Measure(NamedTuple):
    """One line of the table."""

    name: str
    values: list[float]
    """One of each model."""
    form: Form

    def shown(self, value: float, sign: str = "") -> str:
        return FORMS.get(self.form, "{:.3f}").replace("{:", f"{{:{sign}").format(value)


def of_responses(results: Results, samples: int, solved_from: float) -> list[Measure]:
    """Rewards, pass@k and lengths."""
    models = [_prompts(rows, samples) for rows in results.values()]
    every = [list(rows) for rows in results.values()]
    measures = [
        Measure("prompts", [len(prompts) for prompts in models], "count"),
        Measure("mean reward", [_mean(row["reward"] for row in rows) for rows in every], "number"),
    ]
    for k in range(1, samples + 1):
        shares = [
            _mean(pass_at_k(samples, _solved(rows, solved_from), k) for rows in prompts)
            for prompts in models
        ]
        measures.append(Measure(f"pass@{k}", shares, "share"))
    tokens = [sorted(row["tokens"] for row in rows) for rows in every]
    return [
        *measures,
        Measure("response tokens, mean", [_mean(each) for each in tokens], "tokens"),
        Measure("response tokens, median", [statistics.median(each) for each in tokens], "tokens"),
        Measure("response tokens, 95 %", [_high(each) for each in tokens], "tokens"),
        Measure(
            "cut at the token limit", [_mean(row["cut"] for row in rows) for rows in every], "share"
        ),
    ]


def of_pairs(results: Results) -> list[Measure]:
    """How often a reward model scores the chosen one above the rejected one."""
    every = list(results.values())
    return [
        Measure("pairs", [len(rows) for rows in every], "count"),
        Measure("accuracy", [_mean(row["margin"] > 0 for row in rows) for rows in every], "share"),
        *(
            Measure(name, [_mean(row[key] for row in rows) for rows in every], "number")
            for name, key in (
                ("mean margin", "margin"),
                ("mean score of chosen", "chosen_score"),
                ("mean score of rejected", "rejected_score"),
            )
        ),
    ]


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """Chance that one of k responses solves, estimated without bias from more of them.

    1 - C(n - c, k) / C(n, k), of Chen et al. 2021, "Evaluating Large Language Models Trained on
    Code", equation 1.
    """
    return 1 - math.comb(samples - solved, k) / math.comb(samples, k)


def reward_change(results: Results, samples: int) -> tuple[float, float] | None:
    """Change of the mean reward from the first model to the last, and its standard error over
    prompts; None where there is nothing to compare."""
    models = [_prompts(rows, samples) for rows in results.values()]
    if len(models) < 2 or len(models[0]) < 2:
        return None
    means = [[_mean(row["reward"] for row in rows) for rows in prompts] for prompts in models]
    changes = [after - before for before, after in zip(means[0], means[-1], strict=True)]
    return statistics.fmean(changes), statistics.stdev(changes) / math.sqrt(len(changes))


def heads(models: int) -> list[str]:
    """Titles of the columns with numbers."""
    if models < 2:
        return ["model"]
    named = ["before", "after"] if models == 2 else [f"model {n}" for n in range(1, models + 1)]
    return [*named, "change"]


def cells(measure: Measure) -> list[str]:
    """The numbers of a line, and how they changed from the first to the last."""
    shown = [measure.shown(value) for value in measure.values]
    if len(shown) > 1:
        change = measure.values[-1] - measure.values[0]
        shown.append("" if measure.form == "count" else measure.shown(change, "+"))
    return shown


def text(results: Results, measures: Sequence[Measure]) -> str:
    """The table for a terminal."""
    titles = heads(len(results))
    lines = [f"{'':<24}" + "".join(f"{title:>11}" for title in titles)]
    lines += [
        f"{each.name:<24}" + "".join(f"{cell:>11}" for cell in cells(each)).rstrip()
        for each in measures
    ]
    names = zip(titles, results, strict=False)
    return "\n".join([*lines, *(f"{title:<10}{name}" for title, name in names)])


def as_json(results: Results, measures: Sequence[Measure]) -> dict[str, Any]:
    """The same numbers for scripts."""
    models = {
        name: {measure.name: measure.values[at] for measure in measures}
        for at, name in enumerate(results)
    }
    change = {
        measure.name: measure.values[-1] - measure.values[0]
        for measure in measures
        if len(results) > 1 and measure.form != "count"
    }
    return {"models": models, "change": change}


def _prompts(rows: Sequence[Row], samples: int) -> list[Sequence[Row]]:
    """The samples of each prompt."""
    return [rows[start : start + samples] for start in range(0, len(rows), samples)]


def _solved(rows: Sequence[Row], solved_from: float) -> int:
    return sum(row["reward"] >= solved_from for row in rows)


def _mean(values: Any) -> float:
    return statistics.fmean(map(float, values))


def _high(values: Sequence[int]) -> float:
    """The 95th of a hundred, of sorted values."""
    return values[math.ceil(0.95 * len(values)) - 1]
