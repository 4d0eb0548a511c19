"""The command lines of `filter_rollouts.py` and `prepare_for_*.py`."""

import argparse
import importlib
import math
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from . import formats
from .choose import PairRules
from .engine import EngineName
from .errors import UserError
from .filter import TaskRules
from .normalise import Shape
from .parquet import Columns
from .pipeline import Kind, Recipe, Row, prepare
from .run import Options
from .values import assignment, demand, size

SAMENESS = ("keep", "exact", "normalised")


def clean_up_when_terminated() -> None:
    """Job schedulers end a job with SIGTERM: remove temporary files then, as for Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments that every script has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--input", nargs="+", required=True, help="rollouts: files, folders, or - for stdin")
    add("--output", type=Path, required=True, help="file to write")
    add(
        "--max_bad_share",
        type=float,
        default=0.01,
        help="share of lines that may be no rollouts (default 0.01)",
    )
    add(
        "--shard_size",
        type=size,
        default=2**32,
        help="divide larger outputs: training_data-00001-of-00003.jsonl (default 4GiB)",
    )
    add("--workers", type=int, default=0, help="processes (default: one a processor, at most 8)")
    add("--engine", choices=get_args(EngineName), default="local", help="ray: on a Ray cluster")
    add(
        "--images",
        choices=("drop", "keep"),
        default="drop",
        help="rollouts with images: set aside, or keep references in the content",
    )
    add(
        "--incomplete",
        choices=("drop", "cut"),
        default="drop",
        help="rollouts that end while reasoning, or lack what the model saw: set aside, or keep "
        "what stands before",
    )
    return parser


def options_of(arguments: argparse.Namespace, suffixes: tuple[str, ...] = (".jsonl",)) -> Options:
    """The common arguments, checked."""
    demand("--max_bad_share", arguments.max_bad_share)
    demand("--workers", arguments.workers, math.inf)
    output: Path = arguments.output
    if output.exists() and not output.is_file():
        raise UserError(f"--output {output} is no file.", "Give the name of a file to write.")
    if output.suffix in {".gz", ".zst"} or output.name == "rejected.jsonl":
        raise UserError(
            f"--output {output} is not possible: outputs are not compressed, and rejected.jsonl is "
            "where lines go that cannot be used.",
            "Give a name like training_data.jsonl.",
        )
    if output.suffix == ".parquet" and ".parquet" not in suffixes:
        raise UserError(
            f"--output {output}: lines are copied as they are, which is JSONL.",
            "Give a name like filtered.jsonl.",
        )
    inputs = tuple(arguments.input)
    return Options(
        inputs=inputs,
        output=output,
        max_bad_share=arguments.max_bad_share,
        shard_size=arguments.shard_size,
        workers=arguments.workers,
        engine=arguments.engine,
    )


def prepare_command(
    description: str | None,
    *,
    framework: str,
    config: str,
    kinds: Mapping[str, Kind],
    implied: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {},
    key: str = "algorithm",
    named: Callable[[Any], Any] = lambda value: value,
) -> None:
    """Run one framework's preparation.

    Args:
        framework: a module of `dataprep.formats`, which says what rows look like.
        config: the trainer's config, which names the algorithm.
        kinds: dataset kind of each algorithm, or whatever the config names.
        key: of the config, that names it.
        named: the name in the value of that key.
        implied: the options that follow from that config, where they are not given.
    """
    clean_up_when_terminated()
    rows = importlib.import_module(f"dataprep.formats.{framework}")
    parser = parser_of(description)
    _add_recipe(parser, config)
    arguments = parser.parse_args()
    kind: Kind = arguments.kind
    if kind is None:
        settings = _settings(arguments.config)
        name = named(settings.get(key))
        if not isinstance(name, str) or name not in kinds:
            raise UserError(
                f"`{key}` in {arguments.config} is {settings.get(key)!r}.",
                f"Give --config a file where it names one of {', '.join(kinds)}, or give --kind.",
            )
        kind = kinds[name]
        for option, value in implied(settings).items():
            if getattr(arguments, option) is None:
                setattr(arguments, option, value)
    if kind in rows.REFUSED:
        raise UserError(f"There are no {kind} rows for {framework}.", rows.REFUSED[kind])
    if arguments.output.suffix == ".parquet" and not rows.COLUMNS[kind]:
        raise UserError(
            f"The columns of {kind} rows for {framework} differ from row to row.", "Write .jsonl."
        )
    with_metadata = kind in {"prompts", "trajectories"} or "metadata" in rows.COLUMNS[kind]
    shape = Shape(
        reasoning=arguments.reasoning,
        images=arguments.images,
        incomplete=arguments.incomplete,
        metadata=with_metadata,
        tokens="tokens" in rows.COLUMNS[kind],
    )
    row, columns = _row(arguments, rows, kind)
    options = options_of(arguments, (".jsonl", ".parquet"))
    prepare(options, _recipe(arguments, kind), row, shape, formats.prompt, columns)


def _row(arguments: argparse.Namespace, rows: Any, kind: Kind) -> tuple[Row, Columns]:
    """The row of a format as it was asked for, and its columns."""
    row, names = rows.ROWS[kind], dict(arguments.keys)
    columns: dict[str, Any] = dict(rows.COLUMNS[kind])
    if unknown := sorted(set(names) - set(columns)):
        raise UserError(
            f"--keys: {kind} rows have no {', no '.join(unknown)}.",
            f"They have {', '.join(columns) or 'no fixed keys'}.",
        )
    if arguments.arguments == "text":
        row = formats.with_text_arguments(row)
    if names:
        row = formats.renamed(row, names)
    return row, {names.get(name, name): each for name, each in columns.items()}


def _add_recipe(parser: argparse.ArgumentParser, config: str) -> None:
    add = parser.add_argument
    add("--config", type=Path, default=Path(config), help="names the algorithm")
    add("--kind", choices=get_args(Kind), help="dataset kind (default: the algorithm's)")
    add("--eval_share", type=float, default=0.1, help="share of tasks held out (default 0.1)")
    add(
        "--reasoning",
        choices=("keep", "tags", "drop"),
        default="keep",
        help="as reasoning_content, in front of the content in think tags, or not at all",
    )
    add(
        "--arguments",
        choices=("object", "text"),
        default="object",
        help="arguments of calls: objects, as most chat templates want, or JSON text",
    )
    add("--keys", nargs="+", type=assignment, default=[], help="other names: prompt=question")
    add("--duplicates", choices=SAMENESS, default="keep", help="which rows are the same")
    add("--min_reward", type=float, help="lowest reward that is used")
    add(
        "--select",
        choices=("all", "best", "one"),
        default="all",
        help="of each task: all rollouts, the best, or one (sft, unpaired, trajectories)",
    )
    add(
        "--per_turn",
        action=argparse.BooleanOptionalAction,
        help="a row for each turn of the model (sft, unpaired)",
    )
    pairs = parser.add_argument_group("preference pairs")
    add = pairs.add_argument
    add("--min_margin", type=float, default=0.0, help="between the rewards of a pair")
    add("--pairs", choices=("best_worst", "all"), default="best_worst", help="of each prompt")
    add("--max_pairs", type=int, default=100, help="of one prompt, with --pairs all")
    add(
        "--whole",
        action=argparse.BooleanOptionalAction,
        help="whole completions, not the turn where they differ",
    )
    unpaired = parser.add_argument_group("unpaired")
    unpaired.add_argument("--good_from", type=float, default=0.5, help="lowest reward that is good")


def _recipe(arguments: argparse.Namespace, kind: Kind) -> Recipe:
    demand("--eval_share", arguments.eval_share)
    demand("--min_margin", arguments.min_margin, math.inf)
    demand("--max_pairs", arguments.max_pairs, math.inf, 1)
    if arguments.per_turn and kind not in {"sft", "unpaired"}:
        raise UserError(f"--per_turn is not for {kind} data.", "Leave it out.")
    if arguments.per_turn and arguments.select != "all":
        raise UserError(
            f"--select {arguments.select} takes one row a task, and --per_turn makes several of "
            "one rollout.",
            "Filter for the rollouts first: filter_rollouts.py --max_per_task 1.",
        )
    return Recipe(
        kind=kind,
        eval_share=arguments.eval_share,
        min_reward=arguments.min_reward,
        good_from=arguments.good_from,
        tasks=TaskRules(
            duplicates=arguments.duplicates,
            select="one" if kind == "prompts" else arguments.select,
        ),
        pairs=PairRules(arguments.min_margin, arguments.pairs, arguments.max_pairs),
        whole_completions=bool(arguments.whole),
        per_turn=bool(arguments.per_turn),
        arguments=arguments.arguments,
    )


def _settings(config: Path) -> Mapping[str, Any]:
    try:
        settings: Any = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"Cannot read {config}: {error}.", "Give the trainer's --config, or give --kind."
        ) from None
    return dict(settings) if isinstance(settings, dict) else {}
