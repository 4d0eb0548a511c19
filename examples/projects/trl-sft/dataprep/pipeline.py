"""The steps in order, for `filter_rollouts.py` and `prepare_for_*.py`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import build, manifest
from .errors import Unreadable, Unusable, UserError
from .filter import Rules, removed_by
from .group import spill_beside
from .normalise import normalise
from .read import STDIN, Line, find, lines, name_of, parse
from .rollout import Json, Rollout, chat
from .split import held_out
from .write import Output, Rejected, beside, together

FEW_LINES = 1000
"""From here on a share of bad lines means something, and a run is stopped early."""

Row = Callable[[Any], Json]
"""Turns a `Rollout` or a `build.Pair` into the row that a framework's loader wants."""

REMEDIES = {
    "sft": "Give more rollouts, or hold out fewer tasks with --eval_share.",
    "preference": "A pair needs two rollouts of one prompt, with rewards that differ: give more "
    "rollouts, filter less, or hold out fewer tasks with --eval_share.",
}
"""What to do when no row of a dataset kind is left."""

Counts = Mapping[str, int | dict[str, int]]
"""What was read and what became of it, in order; a dict says how many for each reason."""


class Options(msgspec.Struct, frozen=True):
    """What every step is told."""

    inputs: tuple[str, ...]
    output: Path
    max_bad_share: float = 0.01
    """Share of lines that may be no JSON objects, 0 to 1."""

    def outputs(self, *endings: str) -> list[Path]:
        """The output and what belongs to it, the manifest last."""
        others = (beside(self.output, ending) for ending in (*endings, ".manifest.json"))
        return [self.output, *others]


class Reader:
    """Rollouts of the inputs; what cannot be used is counted and saved with its reason."""

    def __init__(self, options: Options, outputs: Sequence[Path], title: str) -> None:
        self.files = find(options.inputs)
        _refuse_overwriting(self.files, outputs)
        self.rejected = Rejected(options.output.with_name("rejected.jsonl"))
        self._read = self._bad = 0
        self._max_bad_share = options.max_bad_share
        self._title = title

    def __iter__(self) -> Iterator[tuple[Line, Rollout]]:
        with self.rejected:
            for line in lines(self.files, self._title):
                self._read += 1
                try:
                    rollout = normalise(parse(line.data))
                except Unusable as reason:
                    self.rejected.add(line, str(reason))
                    self._bad += isinstance(reason, Unreadable)
                    if self._read > FEW_LINES:
                        self._stop_when_bad()
                else:
                    yield line, rollout
            self._stop_when_bad()

    @property
    def counts(self) -> Counts:
        return {"read": self._read, "rejected": self.rejected.reasons}

    def _stop_when_bad(self) -> None:
        if self._bad and self._bad / self._read > self._max_bad_share:
            print_counts(self.counts)
            raise UserError(
                f"{self._bad} of {self._read} lines are no JSON objects, which is more than the "
                f"share of {self._max_bad_share:g} that is allowed.",
                f"See {self.rejected.path} for each line and reason. Mend the file, or allow more "
                "with --max_bad_share. No output was changed.",
                exit_code=1,
            )


def filter_rollouts(options: Options, rules: Rules) -> None:
    """Copy the rollouts that fulfil the rules, byte for byte."""
    outputs = options.outputs()
    reader = Reader(options, outputs, "filtering")
    removed: Counter[str] = Counter()
    with together(outputs) as (kept, report):
        for line, rollout in reader:
            rule = removed_by(rollout, rules)
            if rule is None:
                kept.write(line.data)
            else:
                removed[rule] += 1
        counts = {**reader.counts, "removed": dict(removed), "kept": kept.rows}
        _demand_rows(kept.rows, counts, "Loosen the rules, or give more rollouts.")
        report.write(_manifest(options, reader, msgspec.to_builtins(rules), counts))
    if not reader.rejected.reasons:
        reader.rejected.path.unlink(missing_ok=True)
    print_counts(counts)
    print(f"wrote {name_of(options.output)}")


def prepare(
    options: Options,
    *,
    kind: str,
    row: Row,
    eval_share: float,
    min_margin: float,
) -> None:
    """Build the rows of one dataset kind: training rows, held-out rows, held-out prompts.

    Args:
        kind: `sft` or `preference`.
        row: what a framework wants a row to look like.
        eval_share: share of tasks held out, 0 to 1.
        min_margin: smallest difference of rewards in a pair.
    """

    def rows_of(rollouts: Sequence[Rollout]) -> list[Json]:
        return [row(each) for each in _build(kind, rollouts, min_margin)]

    outputs = options.outputs(".eval.jsonl", ".prompts.jsonl")
    reader = Reader(options, outputs, "reading")
    with together(outputs) as (*sides, report), spill_beside(options.output) as spill:
        for _, rollout in reader:
            spill.add(rollout)
        written = _write(spill.tasks(), rows_of, eval_share, *sides)
        counts = {**reader.counts, "rollouts": spill.rollouts, **written}
        _demand_rows(sides[0].rows, counts, REMEDIES[kind])
        chosen = {"kind": kind, "eval_share": eval_share, "min_margin": min_margin}
        report.write(_manifest(options, reader, chosen, counts))
    print_counts(counts)
    print(f"wrote {name_of(options.output)}")


def _build(kind: str, rollouts: Sequence[Rollout], min_margin: float) -> Iterable[Any]:
    return build.preference(rollouts, min_margin) if kind == "preference" else rollouts


def _write(
    tasks: Iterable[Sequence[Rollout]],
    rows_of: Callable[[Sequence[Rollout]], list[Json]],
    eval_share: float,
    train: Output,
    evaluation: Output,
    prompts: Output,
) -> Counts:
    """Write the rows of each task on its side, and the prompts of those that are held out."""
    seen = empty = 0
    for rollouts in tasks:
        held = held_out(rollouts[0].task, eval_share)
        rows = rows_of(rollouts)
        for row in rows:
            (evaluation if held else train).write(row)
        if held:
            prompts.write(prompt_row(rollouts[0]))
        seen += 1
        empty += not rows
    return {
        "tasks": seen,
        "tasks without a row": empty,
        "training rows": train.rows,
        "held-out rows": evaluation.rows,
        "held-out prompts": prompts.rows,
    }


def prompt_row(rollout: Rollout) -> Json:
    """What `evaluate.py` needs of a held-out task."""
    return {
        "task": rollout.task,
        "prompt": [chat(message) for message in rollout.prompt],
        "tools": rollout.tools,
        "ground_truth": rollout.ground_truth,
        "metadata": rollout.metadata,
    }


def print_counts(counts: Counts) -> None:
    """One table: what was read, what became of it."""
    for name, value in counts.items():
        if isinstance(value, dict):
            print(f"{sum(value.values()):>10,}  {name}")
            for reason, count in sorted(value.items(), key=lambda item: -item[1]):
                print(f"{count:>14,}  {reason}")
        else:
            print(f"{value:>10,}  {name}")


def _manifest(options: Options, reader: Reader, chosen: Json, counts: Counts) -> bytes:
    chosen = {**chosen, "max_bad_share": options.max_bad_share}
    return manifest.encode(options.output, reader.files, chosen, counts)


def _refuse_overwriting(files: Sequence[Path], outputs: Sequence[Path]) -> None:
    for output in outputs:
        if any(path != STDIN and output.exists() and path.samefile(output) for path in files):
            raise UserError(f"{output} is also an input.", "Choose another --output.")


def _demand_rows(rows: int, counts: Counts, remedy: str) -> None:
    if not rows:
        print_counts(counts)
        raise UserError(
            f"Of {counts['read']} lines none is left to train on; no output was changed.",
            f"The table says why each was left out. {remedy}",
            exit_code=1,
        )
