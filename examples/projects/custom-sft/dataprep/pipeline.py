"""The steps in order, for `filter_rollouts.py` and `prepare_for_*.py`."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from . import build, manifest
from .errors import Unusable, UserError
from .filter import Rules, removed_by
from .group import Spill
from .normalise import normalise
from .read import STDIN, Line, find, lines, parse, size_of
from .rollout import Json, Rollout
from .split import held_out
from .write import Output, Rejected, beside

FEW_LINES = 1000
"""From here on a share of bad lines means something, and a run is stopped early."""

Row = Callable[[Any], Json]
"""Turns a `Rollout` or a `build.Pair` into the row that a framework's loader wants."""


class Options(msgspec.Struct, frozen=True):
    """What every step is told."""

    inputs: tuple[str, ...]
    output: Path
    max_bad_share: float = 0.01
    """Share of lines that may be no JSON objects, 0 to 1."""


class Reader:
    """Rollouts of the inputs; what cannot be used is counted and saved with its reason."""

    def __init__(self, options: Options, title: str) -> None:
        self.files = find(options.inputs)
        _refuse_overwriting(self.files, options.output)
        self.rejected = Rejected(options.output.with_name("rejected.jsonl"))
        self.read = 0
        self._bad = 0
        self._options = options
        self._title = title

    def __iter__(self) -> Iterator[tuple[Line, Rollout]]:
        try:
            yield from self._rollouts()
        finally:
            self.rejected.save()

    def _rollouts(self) -> Iterator[tuple[Line, Rollout]]:
        for line in lines(self.files, self._title):
            self.read += 1
            try:
                record = parse(line.data)
            except Unusable as reason:
                self._bad += 1
                self.rejected.add(line, str(reason))
                self._stop_when_bad(FEW_LINES)
                continue
            try:
                rollout = normalise(record)
            except Unusable as reason:
                self.rejected.add(line, str(reason))
                continue
            yield line, rollout
        self._stop_when_bad(0)

    def _stop_when_bad(self, at_least: int) -> None:
        if self.read > at_least and self._bad > self._options.max_bad_share * self.read:
            raise UserError(
                f"{self._bad} of {self.read} lines are no JSON objects, which is more than the "
                f"share of {self._options.max_bad_share:g} that is allowed.",
                f"See {self.rejected.path} for each line and reason. Mend the file, or allow more "
                "with --max_bad_share. No output was written.",
                exit_code=1,
            )

    @property
    def counts(self) -> dict[str, Any]:
        return {"read": self.read, "rejected": self.rejected.reasons}


def filter_rollouts(options: Options, rules: Rules) -> None:
    """Copy the rollouts that fulfil the rules, byte for byte."""
    reader = Reader(options, "filtering")
    options.output.with_name("rejected.jsonl").unlink(missing_ok=True)
    removed: dict[str, int] = {}
    with Output(options.output) as output:
        for line, rollout in reader:
            rule = removed_by(rollout, rules)
            if rule is None:
                output.write(line.data)
            else:
                removed[rule] = removed.get(rule, 0) + 1
        _demand_rows(output.rows, reader, removed)
    counts = {**reader.counts, "removed": removed, "kept": output.rows}
    manifest.write(options.output, reader.files, {**msgspec.to_builtins(rules)}, counts)
    print_counts(counts, options.output)


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
    reader = Reader(options, "reading")
    outputs = (options.output, beside(options.output, ".eval.jsonl"))
    with ExitStack() as stack:
        folder = stack.enter_context(_spill_folder(options.output))
        spill = Spill(Path(folder), size_of(reader.files))
        stack.callback(spill.close)
        for _, rollout in reader:
            spill.add(rollout)
        train, evaluation = (stack.enter_context(Output(path)) for path in outputs)
        prompts = stack.enter_context(Output(beside(options.output, ".prompts.jsonl")))
        tasks = empty = 0
        for rollouts in spill.tasks():
            tasks += 1
            held = held_out(rollouts[0].task, eval_share)
            rows = [row(item) for item in _build(kind, rollouts, min_margin)]
            empty += not rows
            for each in rows:
                (evaluation if held else train).write(each)
            if held:
                prompts.write(prompt_row(rollouts[0]))
        _demand_rows(train.rows, reader, {f"tasks without a {kind} row": empty})
    counts = {
        **reader.counts,
        "tasks": tasks,
        "tasks without a row": empty,
        "training rows": train.rows,
        "held-out rows": evaluation.rows,
        "held-out prompts": prompts.rows,
    }
    chosen = {"kind": kind, "eval_share": eval_share, "min_margin": min_margin}
    manifest.write(options.output, reader.files, chosen, counts)
    print_counts(counts, options.output)


def _build(kind: str, rollouts: Sequence[Rollout], min_margin: float) -> Iterable[Any]:
    return build.preference(rollouts, min_margin) if kind == "preference" else rollouts


def prompt_row(rollout: Rollout) -> Json:
    """What `evaluate.py` needs of a held-out task."""
    from .rollout import chat

    return {
        "task": rollout.task,
        "prompt": [chat(message) for message in rollout.prompt],
        "tools": rollout.tools,
        "ground_truth": rollout.ground_truth,
        "metadata": rollout.metadata,
    }


def print_counts(counts: Mapping[str, Any], output: Path) -> None:
    """One table: what was read, what became of it."""
    for name, value in counts.items():
        if isinstance(value, dict):
            print(f"{sum(value.values()):>10,}  {name}")
            for reason, count in sorted(value.items(), key=lambda item: -item[1]):
                print(f"{count:>14,}  {reason}")
        else:
            print(f"{value:>10,}  {name}")
    print(f"wrote {output}")


def _refuse_overwriting(files: Sequence[Path], output: Path) -> None:
    for path in files:
        if path != STDIN and output.exists() and path.samefile(output):
            raise UserError(f"{output} is also an input.", "Choose another --output.")


def _spill_folder(output: Path) -> tempfile.TemporaryDirectory[str]:
    """Beside the output, where there is room for data of this size."""
    output.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".spill-", dir=output.parent)


def _demand_rows(rows: int, reader: Reader, other: Mapping[str, int]) -> None:
    if rows:
        return
    print_counts({**reader.counts, "not used": dict(other)}, reader.rejected.path)
    raise UserError(
        f"Of {reader.read} rollouts none is left to train on; no output was written.",
        "The table above says why each was left out. Loosen the rules, or give more rollouts.",
        exit_code=1,
    )
