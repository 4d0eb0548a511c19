"""The steps in order, for `filter_rollouts.py` and `prepare_for_*.py`."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import msgspec

from . import gather
from .build import Judged, by_turn, trajectory
from .choose import PROMPTS, PairRules, Picks, balance
from .filter import Rules, TaskRules
from .manifest import Counts
from .normalise import Shape
from .parquet import Columns
from .record import metadata_of
from .rollout import Rollout
from .run import Options, Run, running
from .split import held_out
from .stage import Job
from .write import beside

Kind = Literal["sft", "preference", "unpaired", "prompts", "trajectories"]
Row = Callable[[Any], Any]
"""Turns what a dataset kind is made of into the row that a framework's loader wants: a `Rollout`
for sft and prompts, a `build.Pair`, a `build.Judged`, a `build.Trajectory`."""

TRAIN = 0
MORE = "Give more rollouts, or hold out fewer tasks with --eval_share."
MORE_PAIRS = "A pair needs two rollouts of one prompt, with rewards that differ. " + MORE
"""What to do when no row is left."""


class Recipe(msgspec.Struct, frozen=True):
    """How the rows of one dataset kind are built."""

    kind: Kind
    eval_share: float = 0.1
    """Share of tasks held out, 0 to 1."""
    min_reward: float | None = None
    good_from: float = 0.5
    """Lowest reward of a good rollout, for unpaired data."""
    tasks: TaskRules = TaskRules()
    pairs: PairRules = PairRules()
    whole_completions: bool = False
    """Pairs of whole completions, as a reward model wants them."""
    per_turn: bool = False
    """A row for each turn of the model, for sft and unpaired data."""
    arguments: Literal["object", "text"] = "object"
    """What the arguments of calls are in the rows."""


def filter_rollouts(
    options: Options,
    rules: Rules,
    tasks: TaskRules,
    shape: Shape,
    tokenizer: str | None = None,
) -> None:
    """Copy the rollouts that fulfil the rules, byte for byte.

    Args:
        tokenizer: model whose tokens count, for `max_tokens`.
    """
    job = Job(options.output, shape, rules, tasks, _line, tasks.needed, tokenizer=tokenizer)
    chosen = {"rules": rules, "task_rules": tasks, "shape": shape, "tokenizer": tokenizer}
    with running(options, job, chosen, [options.output]) as run:
        spans = run.read("filtering")
        removed = dict(run.counts["removed"])  # type: ignore[arg-type]
        parts = gather.everything(spans, TRAIN)
        if tasks.needed:
            picks = gather.pick(spans, tasks, run.engine)
            if tasks.balance is not None:
                balance(picks, tasks.max_per_category)
            removed |= {words: count for words, count in picks.removed.items() if count}
            parts = gather.picked(spans, picks, TRAIN, run.engine)
        counts = {**run.counts, "removed": removed, "kept": sum(rows for _, rows in parts)}
        run.finish([parts], counts, "Loosen the rules, or give more rollouts.")


def prepare(
    options: Options, recipe: Recipe, row: Row, shape: Shape, prompt_row: Row, columns: Columns
) -> None:
    """Build the rows of one dataset kind: training rows, held-out rows, held-out prompts.

    Args:
        row: what a framework wants a row to look like.
        prompt_row: what `evaluate.py` wants of a held-out task.
        columns: of the rows, for parquet.
    """
    rows = partial(_rows, recipe=recipe, row=row, prompt_row=prompt_row)
    rules = Rules(recipe.min_reward, keep_truncated=True, keep_masked=True, keep_failed=True)
    paired = recipe.kind == "preference"
    job = Job(options.output, shape, rules, recipe.tasks, rows, indexed=True, paired=paired)
    suffix = ".parquet" if options.output.suffix == ".parquet" else ".jsonl"
    outputs = [options.output, beside(options.output, f".eval{suffix}")]
    outputs.append(beside(options.output, ".prompts.jsonl"))
    chosen = {"recipe": recipe, "shape": shape, "columns": list(columns)}
    with running(options, job, chosen, outputs) as run:
        spans = run.read("reading")
        picks, parts = _gathered(spans, job, recipe, row, run)
        train, evaluation, prompts = (sum(rows for _, rows in part) for part in parts)
        built = spans.rows(TRAIN) + spans.rows(gather.EVALUATION)
        turns = {"turns, each a row": built} if recipe.per_turn else {}
        counts = {
            **run.counts,
            "rollouts": _left(run.counts) if recipe.per_turn else built,
            **turns,
            "not chosen": dict(picks.removed),
            "tasks": picks.tasks,
            "tasks without a row": picks.empty,
            "training rows": train,
            "held-out rows": evaluation,
            "held-out prompts": prompts,
        }
        run.finish(parts, counts, MORE_PAIRS if paired else MORE, columns)


def _left(counts: Counts) -> int:
    """Lines of which rows were made."""
    read, *others = (counts[key] for key in ("read", "rejected", "set aside", "removed"))
    out = sum(sum(each.values()) for each in others if isinstance(each, dict))
    return int(read) - out  # type: ignore[arg-type]


def _gathered(
    spans: gather.Spans, job: Job, recipe: Recipe, row: Row, run: Run
) -> tuple[Picks, list[list[gather.Part]]]:
    """The files of training rows, held-out rows and held-out prompts."""
    engine = run.engine
    if job.paired:
        pairing = gather.Pairing(recipe.pairs, recipe.whole_completions, row, job.shape)
        picks, pairs = gather.paired(spans, pairing, job.tasks, run.folder, engine)
        sides = [pairs[TRAIN], pairs[gather.EVALUATION]]
    else:
        picks = gather.pick(spans, job.tasks, engine)
        streams = (TRAIN, gather.EVALUATION)
        sides = [gather.left(spans, job.tasks, picks, stream, engine) for stream in streams]
    return picks, [*sides, gather.picked(spans, picks, PROMPTS, engine)]


def _line(line: bytes, _: Rollout) -> Iterator[tuple[int, bytes]]:
    yield TRAIN, line


def _rows(
    line: bytes, rollout: Rollout, *, recipe: Recipe, row: Row, prompt_row: Row
) -> Iterator[tuple[int, bytes]]:
    """The rows of one rollout. Those that are paired later are lines until then."""
    held = held_out(rollout.task, recipe.eval_share)
    side = gather.EVALUATION if held else TRAIN
    if recipe.kind == "preference":
        yield side, line
    elif recipe.kind == "trajectories":
        yield side, _encode(row(trajectory(rollout)))
    else:
        for each in by_turn(rollout) if recipe.per_turn else (rollout,):
            built: Any = each
            if recipe.kind == "unpaired":
                built = Judged(each, rollout.reward >= recipe.good_from)
            yield side, _encode(row(built))
    if held:
        rollout.metadata = rollout.metadata or metadata_of(line)
        yield PROMPTS, _encode(prompt_row(rollout))


_encode = msgspec.json.Encoder().encode
