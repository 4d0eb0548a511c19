"""The command lines of `filter_rollouts.py` and `prepare_for_*.py`."""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from .config import project, read_yaml
from .data.called import demand_sendable
from .data.filter import Rules, TaskRules
from .data.hooks import NO_HOOKS, Hooks, Keep, in_use, project_read
from .data.named import add_keys, keys_of
from .data.normalise import Shape
from .data.rows import Row, prompt
from .engine.engine import EngineName
from .engine.run import Options
from .errors import UserError
from .frameworks import known
from .kinds import wanted_of
from .pipeline import filter_rollouts, prepare
from .report.trainer import trainer_of
from .values import KINDS, MAX_BAD_SHARE, Kind, assignment, demand, size

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
        default=MAX_BAD_SHARE,
        help="share of lines that may be no rollouts (default %(default)s)",
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
    add("--keep_masked", action="store_true", help="rollouts that the environment masked")
    add("--keep_failed", action="store_true", help="rollouts that failed in the environment")
    add_keys(parser)
    add("--reward_key", help="the same as --keys reward=..., where some records have none")
    add("--reward", type=float, help="reward of records that have none")
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


def _shape(arguments: argparse.Namespace, **more: Any) -> Shape:
    """What a rollout should look like."""
    demand("--reward", arguments.reward, sys.float_info.max, -sys.float_info.max)
    return Shape(
        images=arguments.images,
        incomplete=arguments.incomplete,
        reward=arguments.reward,
        reward_key=arguments.reward_key,
        keys=keys_of(arguments.keys),
        **more,
    )


def filter_command(description: str | None, *, keep: Keep | None = None) -> None:
    """Run filter_rollouts.py.

    Args:
        keep: whether a rollout stays, after all rules. Lines that the library cannot read are
            understood as the project's prepare_for_*.py does.
    """
    clean_up_when_terminated()
    parser = parser_of(description)
    _add_rules(parser)
    arguments = parser.parse_args()
    for name in ("min_pass_rate", "max_pass_rate"):
        demand(f"--{name}", getattr(arguments, name))
    for name in ("max_per_task", "max_per_category", "max_tokens", "max_chars"):
        demand(f"--{name}", getattr(arguments, name), math.inf, 1)
    given = {**vars(arguments), "agents": tuple(arguments.agents), "select": "all"}
    rules = Rules(**{name: given[name] for name in Rules.__struct_fields__})
    tasks = TaskRules(**{name: given[name] for name in TaskRules.__struct_fields__})
    shape = _shape(arguments)
    hooks = Hooks(read=project_read(), keep=keep)
    demand_sendable(hooks)
    filter_rollouts(options_of(arguments), rules, tasks, shape, _tokenizer(arguments), hooks)


def _tokenizer(arguments: argparse.Namespace) -> str | None:
    """The model whose tokens are counted, when they are."""
    if arguments.max_tokens is None:
        return None
    configs = [path for path in project().folder.glob("*_config.yaml") if _is_trainers(path)]
    named: list[str | None] = [arguments.tokenizer, *(trainer_of(path).model for path in configs)]
    for model in named:
        if model:
            return model
    raise UserError("--max_tokens needs a tokenizer.", "Name its model with --tokenizer.")


def _is_trainers(config: Path) -> bool:
    return config.stem.removesuffix("_config") in known()


def _add_rules(parser: argparse.ArgumentParser) -> None:
    one = parser.add_argument_group("rules over one rollout").add_argument
    one("--min_reward", type=float, help="lowest reward that is kept")
    one("--max_reward", type=float, help="highest reward that is kept")
    one("--agents", nargs="+", default=[], help="names of agents to keep")
    one("--min_turns", type=int, help="messages that the model wrote")
    one("--max_turns", type=int)
    one("--max_chars", type=int, help="of prompt, completion and tool schemas")
    one("--max_tokens", type=int, help="the same, with the tokenizer of --tokenizer")
    one("--tokenizer", help="model (default: the one in the trainer's config)")
    one("--keep_truncated", action="store_true", help="cut off at the token limit")
    task = parser.add_argument_group("rules over the rollouts of a task").add_argument
    task("--duplicates", choices=SAMENESS, default="keep", help="which conversations are the same")
    task("--max_per_task", type=int, help="rollouts, drawn at random but the same every time")
    task("--min_pass_rate", type=float, help="share of a task's rollouts that solved it, 0 to 1")
    task("--max_pass_rate", type=float, help="0.99 drops tasks that are always solved")
    task("--solved_from", type=float, default=0.5, help="lowest reward that solves (default 0.5)")
    task("--balance", metavar="KEY", help="same number for each agent, or value of a metadata key")
    task("--max_per_category", type=int, help="that number (default: of the smallest category)")


class Config(NamedTuple):
    """What a trainer's config says about the rows that it wants."""

    name: str
    """Its file."""
    kind: Callable[[Mapping[str, Any]], Kind]
    """The dataset kind, from what the file holds.

    Raises:
        UserError: when it does not say.
    """
    implied: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {}
    """The options that follow, where they are not given."""


def by_key(key: str, kinds: Mapping[str, Kind] = KINDS) -> Callable[[Mapping[str, Any]], Kind]:
    """The kind that the value of a key stands for: `algorithm: dpo`."""

    def kind(settings: Mapping[str, Any]) -> Kind:
        named = settings.get(key)
        if not isinstance(named, str) or named not in kinds:
            raise UserError(
                f"`{key}` is {named!r}.",
                f"Give --config a file where it is one of {', '.join(kinds)}, or give --kind.",
            )
        return kinds[named]

    return kind


def prepare_command(
    description: str | None,
    *,
    rows: Mapping[str, Row],
    framework: Any,
    config: Config,
    hooks: Hooks = NO_HOOKS,
) -> None:
    """Run one framework's preparation.

    Args:
        rows: what a row of each dataset kind looks like: the framework's, or a project's own.
        framework: the module of `rl_rollouts.frameworks`, or one like it, that the trainer is of.
        config: the trainer's config, which says what it wants.
    """
    clean_up_when_terminated()
    parser = parser_of(description)
    _add_recipe(parser, config.name)
    arguments = parser.parse_args()
    kinds: list[Kind] = list(dict.fromkeys(arguments.kind or ()))
    if not kinds:
        settings = _settings(arguments.config)
        try:
            kinds = [config.kind(settings)]
        except UserError as error:
            raise UserError(f"{arguments.config}: {error.problem}", error.remedy) from None
        for option, value in config.implied(settings).items():
            if getattr(arguments, option) is None:
                setattr(arguments, option, value)
    wanted = wanted_of(arguments, kinds, rows, framework)
    demand_sendable([*hooks, *(rows[kind] for kind in kinds)])
    hooks = in_use(hooks)
    tokens = any(each.own or "tokens" in each.columns for each in wanted)
    shape = _shape(arguments, reasoning=arguments.reasoning, tokens=tokens)
    prepare(options_of(arguments, (".jsonl", ".parquet")), wanted, shape, prompt, hooks)


def _add_recipe(parser: argparse.ArgumentParser, config: str) -> None:
    add = parser.add_argument
    add("--config", type=Path, default=Path(config), help="names the algorithm")
    add(
        "--kind",
        nargs="+",
        choices=get_args(Kind),
        help="dataset kind (default: the algorithm's); of several, each in files of its own: "
        "training_data.sft.jsonl, training_data.preference.jsonl",
    )
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
    add(
        "--columns",
        nargs="+",
        type=assignment,
        default=[],
        metavar="NAME=COLUMN",
        help="other names of what is written: prompt=question",
    )
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


def _settings(config: Path) -> Mapping[str, Any]:
    settings = read_yaml(config, "Give the trainer's --config, or give --kind.")
    return dict(settings) if isinstance(settings, dict) else {}
