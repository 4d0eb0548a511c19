"""The command lines of `filter_rollouts.py` and `prepare_for_*.py`."""

import argparse
import math
import signal
from collections.abc import Mapping
from pathlib import Path

import yaml

from .errors import UserError
from .pipeline import Options, Row, prepare


def clean_up_when_terminated() -> None:
    """Job schedulers end a job with SIGTERM: remove temporary files then, as for Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


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
    _demand("--max_bad_share", arguments.max_bad_share)
    output: Path = arguments.output
    if output.exists() and not output.is_file():
        raise UserError(f"--output {output} is no file.", "Give the name of a file to write.")
    if output.suffix in {".gz", ".zst"} or output.name == "rejected.jsonl":
        raise UserError(
            f"--output {output} is not possible: outputs are plain JSONL, and rejected.jsonl is "
            "where lines go that cannot be used.",
            "Give a name like training_data.jsonl.",
        )
    return Options(tuple(arguments.input), output, arguments.max_bad_share)


def _demand(name: str, value: float, highest: float = 1) -> None:
    if not 0 <= value <= highest:
        raise UserError(f"{name} is {value}.", f"Give a number from 0 to {highest:g}.")


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
    clean_up_when_terminated()
    parser = parser_of(description)
    parser.add_argument("--config", type=Path, default=Path(config), help="names the algorithm")
    parser.add_argument("--eval_share", type=float, default=0.1, help="share of tasks held out")
    if "preference" in rows:
        parser.add_argument(
            "--min_margin", type=float, default=0.0, help="between the rewards of a pair"
        )
    arguments = parser.parse_args()
    _demand("--eval_share", arguments.eval_share)
    min_margin = getattr(arguments, "min_margin", 0.0)
    _demand("--min_margin", min_margin, math.inf)
    kind = kinds[_algorithm(arguments.config, kinds)]
    prepare(
        options_of(arguments),
        kind=kind,
        row=rows[kind],
        eval_share=arguments.eval_share,
        min_margin=min_margin,
    )


def _algorithm(config: Path, kinds: Mapping[str, str]) -> str:
    remedy = f"Give --config a file with `algorithm:` one of {', '.join(kinds)}."
    try:
        settings = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {config}: {error}.", remedy) from None
    algorithm = settings.get("algorithm") if isinstance(settings, dict) else None
    if not isinstance(algorithm, str) or algorithm not in kinds:
        raise UserError(f"The algorithm in {config} is {algorithm!r}.", remedy)
    return algorithm
