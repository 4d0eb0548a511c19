"""The command lines of `filter_rollouts.py` and `prepare_for_*.py`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import yaml

from .errors import UserError
from .pipeline import Options, Row, prepare


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with --input, --output and --max_bad_share, the same for every script."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input", nargs="+", required=True, help="rollouts: files, folders, or - for stdin"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSONL file to write")
    parser.add_argument(
        "--max_bad_share",
        type=float,
        default=0.01,
        help="share of lines that may be no JSON objects (default 0.01)",
    )
    return parser


def options_of(arguments: argparse.Namespace) -> Options:
    """The common arguments, checked."""
    demand_share("--max_bad_share", arguments.max_bad_share)
    if arguments.output.is_dir():
        raise UserError(f"--output {arguments.output} is a folder.", "Give a file name.")
    return Options(tuple(arguments.input), arguments.output, arguments.max_bad_share)


def demand_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"{name} is {value}.", "Give a share from 0 to 1.")


def prepare_command(
    description: str | None,
    *,
    config: str,
    kinds: Mapping[str, str],
    rows: Mapping[str, Row],
) -> None:
    """Run one framework's preparation.

    Args:
        config: the trainer's config, which names the algorithm.
        kinds: dataset kind of each algorithm.
        rows: what a row of each dataset kind looks like to the framework.
    """
    parser = parser_of(description)
    parser.add_argument("--config", type=Path, default=Path(config), help="names the algorithm")
    parser.add_argument("--eval_share", type=float, default=0.1, help="share of tasks held out")
    if "preference" in rows:
        parser.add_argument("--min_margin", type=float, default=0.0, help="of rewards in a pair")
    arguments = parser.parse_args()
    demand_share("--eval_share", arguments.eval_share)
    kind = kinds[_algorithm(arguments.config, kinds)]
    prepare(
        options_of(arguments),
        kind=kind,
        row=rows[kind],
        eval_share=arguments.eval_share,
        min_margin=getattr(arguments, "min_margin", 0.0),
    )


def _algorithm(config: Path, kinds: Mapping[str, str]) -> str:
    remedy = f"Give --config a file with `algorithm:` one of {', '.join(kinds)}."
    try:
        settings = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {config}: {error}.", remedy) from None
    algorithm = settings.get("algorithm") if isinstance(settings, dict) else None
    if algorithm not in kinds:
        raise UserError(f"The algorithm in {config} is {algorithm!r}.", remedy)
    return str(algorithm)
