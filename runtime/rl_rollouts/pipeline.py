"""The steps in order, for `filter_rollouts.py` and `prepare_for_*.py`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec

from .data.build import Judged, by_turn, demand_answer, demand_reward, trajectory
from .data.filter import Rules, TaskRules
from .data.hooks import NO_HOOKS, Hooks
from .data.normalise import Shape
from .data.rollout import Rollout
from .data.rows import Row
from .engine import gather
from .engine.choose import PairRules, Picks, balance
from .engine.manifest import Counts
from .engine.parquet import Columns
from .engine.run import Delivery, Options, Run, running
from .engine.stage import Job
from .engine.streams import EVALUATION, TRAIN, Bodies, Making
from .engine.write import beside
from .values import Kind

MORE = "Give more rollouts, or hold out fewer tasks with --eval_share."
MORE_PAIRS = "A pair needs two rollouts of one prompt, with rewards that differ. " + MORE
"""What to do when no row is left."""


class Recipe(msgspec.Struct, frozen=True):
    """How the rows of one dataset kind are built."""

    kind: Kind
    eval_share: float = 0.1
    """Share of tasks held out, 0 to 1."""
    min_reward: float | None = None
    keep_masked: bool = False
    keep_failed: bool = False
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
    hooks: Hooks = NO_HOOKS,
) -> None:
    """Copy the rollouts that fulfil the rules, byte for byte.

    Args:
        tokenizer: model whose tokens count, for `max_tokens`.
    """
    making = Making(_as_line, tasks, indexed=tasks.needed)
    job = Job(options.output, shape, hooks, rules, (making,), tokenizer=tokenizer)
    chosen = {
        "rules": rules,
        "task_rules": tasks,
        "shape": shape,
        "tokenizer": tokenizer,
        "max_bad_share": options.max_bad_share,
    }
    note = beside(options.output, ".manifest.json")
    with running(options, job, chosen, [options.output, note]) as run:
        spans = run.read("filtering")
        counts = run.counts()
        removed = dict(counts["removed"])  # type: ignore[arg-type]
        parts = gather.everything(spans, TRAIN)
        if tasks.needed:
            picks = gather.pick(spans, making, run.engine)
            if tasks.balance is not None:
                balance(picks, tasks.max_per_category)
            removed |= {words: count for words, count in picks.removed.items() if count}
            parts = gather.picked(spans, picks, TRAIN, run.engine)
        counts |= {"removed": removed, "kept": sum(rows for _, rows in parts)}
        remedy = "Loosen the rules, or give more rollouts."
        run.finish([Delivery(options.output, {options.output: parts}, counts, chosen, remedy)])


class Wanted(NamedTuple):
    """One kind of rows that a run makes."""

    recipe: Recipe
    row: Row
    """What a framework wants a row to look like."""
    columns: Columns
    """Of the rows, for parquet."""
    own: bool = False
    """Whether a function of the project makes them."""


def prepare(
    options: Options,
    wanted: Sequence[Wanted],
    shape: Shape,
    prompt_row: Row,
    hooks: Hooks = NO_HOOKS,
) -> None:
    """Build rows in one pass: of each kind training rows and held-out rows, and held-out prompts.

    Args:
        wanted: kinds that share `eval_share`, `min_reward`, `keep_masked` and `keep_failed`.
        prompt_row: what `evaluate.py` wants of a held-out task.
    """
    makings = _makings(wanted)
    first = wanted[0].recipe
    # What the model did is trained by other kinds; a prompt is one whatever came of it.
    only_asks = first.kind == "prompts"
    rules = Rules(
        first.min_reward,
        keep_truncated=True,
        keep_masked=first.keep_masked or only_asks,
        keep_failed=first.keep_failed or only_asks,
    )
    prompted = partial(_prompt, prompt_row)
    job = Job(options.output, shape, hooks, rules, makings, first.eval_share, prompted)
    targets = [_Target(options, each, several=len(wanted) > 1) for each in wanted]
    chosen = [_chosen(each, shape, options) for each in wanted]
    outputs = [path for target in targets for path in (*target.paths, target.note)]
    with running(options, job, {"kinds": chosen}, outputs) as run:
        spans = run.read("reading")
        prompts = gather.prompts(spans, run.engine)
        run.finish(
            [
                _delivered(spans, making, each, target, prompts, said, run)
                for making, each, target, said in zip(makings, wanted, targets, chosen, strict=True)
            ]
        )


def _makings(wanted: Sequence[Wanted]) -> tuple[Making, ...]:
    several = len(wanted) > 1
    return tuple(
        Making(
            _bodies(each),
            each.recipe.tasks,
            indexed=True,
            paired=each.recipe.kind == "preference",
            number=number,
            name=each.recipe.kind if several else "",
        )
        for number, each in enumerate(wanted)
    )


def _bodies(wanted: Wanted) -> Bodies:
    """How the rows of a kind are made. Those that are paired later are lines until then."""
    recipe = wanted.recipe
    if recipe.kind == "preference":
        return _as_side
    if recipe.kind == "trajectories":
        return partial(_of_steps, wanted.row)
    if recipe.per_turn or recipe.kind == "unpaired":
        return partial(_of_turns, wanted.row, recipe)
    if recipe.kind == "prompts":
        return partial(_of_prompt, wanted.row)
    return partial(_of_rollout, wanted.row, recipe.tasks.select == "best")


class _Target:
    """The names of one kind's outputs: its own where there are several kinds."""

    def __init__(self, options: Options, wanted: Wanted, *, several: bool) -> None:
        suffix = ".parquet" if options.output.suffix == ".parquet" else ".jsonl"
        kind = wanted.recipe.kind
        self.name = kind if several else ""
        self.output = beside(options.output, f".{kind}{suffix}") if several else options.output
        evaluation = beside(self.output, f".eval{suffix}")
        self.paths = (self.output, evaluation, beside(options.output, ".prompts.jsonl"))
        self.note = beside(self.output, ".manifest.json")


def _chosen(wanted: Wanted, shape: Shape, options: Options) -> Mapping[str, Any]:
    return {
        "recipe": wanted.recipe,
        "shape": shape,
        "columns": list(wanted.columns),
        "max_bad_share": options.max_bad_share,
    }


def _delivered(
    spans: gather.Spans, making: Making, wanted: Wanted, target: _Target,
    prompts: list[gather.Part], chosen: Mapping[str, Any], run: Run,
) -> Delivery:  # fmt: skip
    """What one kind gives to its outputs."""
    recipe = wanted.recipe
    picks, sides = _gathered(spans, making, wanted, run)
    train, evaluation, held = (sum(rows for _, rows in part) for part in (*sides, prompts))
    built = sum(spans.rows(making.stream(side)) for side in (TRAIN, EVALUATION))
    counts = run.counts(making.number)
    left = _left(counts) if recipe.per_turn else built
    counts |= {
        "rollouts": left,
        **({"turns, each a row": built} if recipe.per_turn else {}),
        "not chosen": dict(picks.removed),
        "tasks": picks.tasks,
        "tasks without a row": picks.empty,
        "training rows": train,
        "held-out rows": evaluation,
        "held-out prompts": held,
    }
    files = dict(zip(target.paths, (*sides, prompts), strict=True))
    remedy = MORE_PAIRS if making.paired else MORE
    return Delivery(target.output, files, counts, chosen, remedy, wanted.columns, target.name)


def _left(counts: Counts) -> int:
    """Lines of which rows were made."""
    read, *others = (counts[key] for key in ("read", "rejected", "set aside", "removed"))
    out = sum(sum(each.values()) for each in others if isinstance(each, dict))
    return int(read) - out  # type: ignore[arg-type]


def _gathered(
    spans: gather.Spans, making: Making, wanted: Wanted, run: Run
) -> tuple[Picks, list[list[gather.Part]]]:
    """The files of training rows and of held-out rows."""
    engine, recipe = run.engine, wanted.recipe
    if making.paired:
        whole = recipe.whole_completions
        pairing = gather.Pairing(recipe.pairs, whole, wanted.row, run.job.shape, run.job.hooks)
        picks, pairs = gather.paired(spans, pairing, making, run.folder, engine)
        return picks, [pairs[TRAIN], pairs[EVALUATION]]
    picks = gather.pick(spans, making, engine)
    return picks, [gather.left(spans, making, picks, at, engine) for at in (TRAIN, EVALUATION)]


def _prompt(prompt_row: Row, rollout: Rollout) -> bytes:
    return _encode(prompt_row(rollout))


def _as_line(line: bytes, _: Rollout) -> tuple[bytes, ...]:
    return (line,)


def _as_side(line: bytes, rollout: Rollout) -> tuple[bytes, ...]:
    if rollout.worse is None:
        demand_answer(rollout)
        demand_reward(rollout)
    return (line,)


def _of_prompt(row: Row, _: bytes, rollout: Rollout) -> tuple[bytes, ...]:
    return (_encode(row(rollout)),)


def _of_rollout(row: Row, judged: bool, _: bytes, rollout: Rollout) -> tuple[bytes, ...]:
    if not rollout.completion or rollout.worse is not None:
        demand_answer(rollout)
    if judged:
        demand_reward(rollout)
    return (_encode(row(rollout)),)


def _of_steps(row: Row, _: bytes, rollout: Rollout) -> tuple[bytes, ...]:
    demand_answer(rollout)
    demand_reward(rollout)
    return (_encode(row(trajectory(rollout))),)


def _of_turns(row: Row, recipe: Recipe, _: bytes, rollout: Rollout) -> list[bytes]:
    if recipe.kind == "unpaired":
        return [
            _encode(row(Judged(turn, good)))
            for side, good in _judged(rollout, recipe)
            for turn in (by_turn(side) if recipe.per_turn else (side,))
        ]
    demand_answer(rollout)
    return [_encode(row(turn)) for turn in by_turn(rollout)]


def _judged(rollout: Rollout, recipe: Recipe) -> Sequence[tuple[Rollout, bool]]:
    """A rollout and whether it is good; of a pair both sides."""
    if rollout.worse is not None:
        return (rollout, True), (rollout.worse, False)
    demand_answer(rollout)
    return ((rollout, demand_reward(rollout) >= recipe.good_from),)


_encode = msgspec.json.Encoder().encode
