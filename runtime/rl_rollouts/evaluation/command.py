"""The command line of `evaluate.py`."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..engine.write import Output, together
from ..errors import UserError
from ..hub import demand_there
from ..models.folders import check_model, is_reward_model
from ..rewards.checked import load_score
from ..values import demand
from . import table
from .generate import Sampling, responses
from .pairs import PAIR_KEYS, pairs_that_fit, scored
from .prompts import read_rows, that_fit
from .report import report

PROMPT_KEYS = {"task", "prompt", "tools", "ground_truth", "metadata"}


def main(description: str | None) -> None:
    """Run evaluate.py.

    Args:
        description: what --help says.
    """
    arguments = parser(description).parse_args()
    for name in ("max_new_tokens", "batch_size", "limit", "samples"):
        demand(f"--{name}", getattr(arguments, name), math.inf, 1)
    demand("--temperature", arguments.temperature, math.inf)
    if arguments.samples > 1 and arguments.temperature == 0:
        raise UserError(
            "With --temperature 0 all samples of a prompt are the same.", "Leave it out, or raise."
        )
    refuse_overwriting(arguments)
    models = list(dict.fromkeys(arguments.model))
    for model in models:  # none is looked up in a network while another was never trained
        demand_there(model)
    for model in models:
        check_model(model)
    judges = [model for model in models if is_reward_model(model)]
    if judges:
        for model in models:
            if model not in judges:
                say(f"{model} is left out: it has no head that scores, only a reward model does.")
        evaluate_pairs(judges, arguments)
    else:
        evaluate_responses(models, arguments)


def parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", nargs="+", required=True, help="Hugging Face ids or folders")
    add("--prompts", type=Path, default=Path("training_data.prompts.jsonl"))
    add("--pairs", type=Path, help="for reward models (default: .eval.jsonl beside --prompts)")
    add("--output", type=Path, default=Path("evaluation.jsonl"), help="a line each response")
    add("--report", type=Path, help="the table and samples side by side, as Markdown: report.md")
    add("--json", action="store_true", help="print the table for scripts")
    add("--samples", type=int, default=1, help="responses to each prompt, for pass@k")
    add("--max_new_tokens", type=int, default=512)
    add("--thinking", action="store_true", help="let models reason before they answer")
    add(
        "--temperature",
        type=float,
        help="0 takes the likeliest token (default: 0, and 1 with several samples)",
    )
    add("--seed", type=int, default=0, help="the same seed draws the same responses")
    add("--batch_size", type=int, default=8, help="responses that are written at once")
    add("--limit", type=int, help="only the first prompts")
    add("--rewards", default="rewards", help="another module, or module:function")
    add("--solved_from", type=float, default=0.5, help="lowest reward that solves (default 0.5)")
    return parser


def refuse_overwriting(arguments: argparse.Namespace) -> None:
    """What is read must not be written, nor two things into one file."""
    written = [path.resolve() for path in (arguments.output, arguments.report) if path]
    given = [path.resolve() for path in (arguments.prompts, arguments.pairs) if path]
    if len(set(written)) < len(written) or set(written) & set(given):
        raise UserError(
            "--output and --report must be other files than each other and than the input.",
            "Choose another name.",
        )


def evaluate_responses(models: Sequence[str], arguments: argparse.Namespace) -> None:
    """Generate, score, compare."""
    score = load_score(arguments.rewards)
    remedy = "Give the .prompts.jsonl that prepare_for_*.py writes."
    rows = read_rows(arguments.prompts, PROMPT_KEYS, remedy)[: arguments.limit]
    thinking: bool = arguments.thinking
    prompts = that_fit(models, rows, arguments.max_new_tokens, thinking=thinking)
    given = arguments.temperature
    temperature = (1.0 if arguments.samples > 1 else 0.0) if given is None else given
    sampling = Sampling(
        samples=arguments.samples,
        max_new_tokens=arguments.max_new_tokens,
        temperature=temperature,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        thinking=thinking,
    )
    notes = _skipped(len(rows) - len(prompts), "prompts", "for --max_new_tokens after them")
    outputs = _files(arguments)
    with together(outputs):
        results = {model: responses(model, prompts, sampling, score) for model in models}
        measures = table.of_responses(results, arguments.samples, arguments.solved_from)
        change = table.reward_change(results, arguments.samples)
        if change is not None:
            about = f"{change[0]:+.3f}, with a standard error of {change[1]:.3f} over the prompts"
            notes.append(f"The mean reward changed by {about}.")
        text = partial(report, results, measures, notes, arguments.samples)
        _write(outputs, results, text)
    _show(arguments, results, measures, notes)


def evaluate_pairs(models: Sequence[str], arguments: argparse.Namespace) -> None:
    """Score held-out pairs with reward models."""
    path = arguments.pairs
    if path is None:
        name = arguments.prompts.name.replace(".prompts.jsonl", ".eval.jsonl")
        path = arguments.prompts.with_name(name)
    remedy = "Give the .eval.jsonl that prepare_for_*.py writes for preference data."
    rows = read_rows(path, PAIR_KEYS, remedy)[: arguments.limit]
    pairs = pairs_that_fit(models, rows)
    notes = _skipped(len(rows) - len(pairs), "pairs", "for them")
    outputs = _files(arguments)
    with together(outputs):
        results = {model: scored(model, pairs, arguments.batch_size) for model in models}
        measures = table.of_pairs(results)
        _write(outputs, results, partial(report, results, measures, notes, 0))
    _show(arguments, results, measures, notes)


def _files(arguments: argparse.Namespace) -> list[Output]:
    """Responses, and the report where one is asked for."""
    return [Output(path) for path in (arguments.output, arguments.report) if path]


def _write(outputs: Sequence[Output], results: table.Results, text: Callable[[], str]) -> None:
    for rows in results.values():
        for row in rows:
            outputs[0].write(row)
    for output in outputs[1:]:
        output.write(text().encode())


def _show(
    arguments: argparse.Namespace,
    results: table.Results,
    measures: Sequence[table.Measure],
    notes: Sequence[str],
) -> None:
    if arguments.json:
        print(json.dumps({**table.as_json(results, measures), "notes": notes}))
    else:
        print("\n".join([table.text(results, measures), *notes]))
    for path in filter(None, (arguments.output, arguments.report)):
        say(f"wrote {path}")


def _skipped(count: int, what: str, room: str) -> list[str]:
    """A note on what is too long."""
    return [f"{count} {what} are skipped: the model has no room {room}."] if count else []


def say(text: str) -> None:
    """To the terminal, beside what a script reads."""
    print(text, file=sys.stderr)
