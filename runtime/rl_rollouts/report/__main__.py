"""Show what rollouts hold and what became of them, in one HTML file that needs no network.

python -m rl_rollouts.report --rollouts rollouts.jsonl --output report.html
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from ..data.hooks import Hooks, project_read
from ..data.named import add_keys, keys_of
from ..engine import manifest
from ..engine.write import Output
from ..errors import UserError, run
from ..frameworks import known
from ..survey import SOLVED_FROM
from ..survey.forecast import SUFFIX, Forecast, of_files
from ..survey.look import survey_rollouts
from .lengths import Lengths, measure
from .page import Report, page
from .text import text
from .trainer import Trainer, trainer_of

PAGES = {".html", ".htm"}


def main() -> None:
    arguments = _parser().parse_args()
    output: Path = arguments.output
    _refuse_overwriting(output, [*arguments.manifests, *arguments.data])
    hooks, keys = Hooks(read=project_read()), keys_of(arguments.keys)
    report = Report(
        # Small files first: a mistake in them should not be found after reading the large ones.
        manifests=[manifest.read(path) for path in arguments.manifests],
        lengths=_lengths(arguments.data, arguments.config),
        summary=survey_rollouts(
            arguments.rollouts, arguments.solved_from, hooks=hooks, keys=keys
        ).summary(),
        inputs=arguments.rollouts,
        forecast=_forecast(arguments.data, arguments.config),
    )
    with Output(output) as file:
        file.write(page(report).encode())
    print(text(report))
    print(f"\nwrote {output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rl_rollouts.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rollouts", nargs="+", required=True, help="files, folders, or - for stdin")
    add_keys(parser)
    add(
        "--manifests",
        nargs="+",
        type=Path,
        default=[],
        help="written by filter and prepare beside their outputs",
    )
    add("--data", nargs="+", type=Path, default=[], help="training rows, to measure in tokens")
    add("--config", type=Path, help="of the trainer: sequence length and tokenizer")
    add("--output", type=Path, default=Path("report.html"), help="HTML file to write")
    add(
        "--solved_from",
        type=float,
        default=SOLVED_FROM,
        help="lowest reward that counts as solved (default %(default)s)",
    )
    return parser


def _lengths(data: list[Path], config: Path | None) -> Lengths | None:
    trainer = trainer_of(config) if config else Trainer("")
    return measure(data, trainer) if data else None


def _forecast(data: list[Path], config: Path | None) -> Forecast | None:
    """What the trainer will do with the rows, where the config is a trainer's that says so."""
    if config is None or len(data) != 1 or config.stem.removesuffix(SUFFIX) not in known():
        return None
    return of_files(data[0], config, known())


def _refuse_overwriting(output: Path, inputs: Iterable[Path]) -> None:
    remedy = "Give --output a name like report.html."
    if output.suffix not in PAGES:
        raise UserError(f"--output {output} is no name of a web page.", remedy)
    if output.exists() and any(path.exists() and path.samefile(output) for path in inputs):
        raise UserError(f"--output {output} is one of the inputs.", remedy)


if __name__ == "__main__":
    run(main)
