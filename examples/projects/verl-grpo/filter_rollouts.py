"""Keep the rollouts worth training on.

    python filter_rollouts.py --input rollouts.jsonl --output filtered.jsonl --min_reward 0.7

Kept lines are copied byte for byte. Lines that cannot be used go to rejected.jsonl beside the
output, with file, line, byte offset and reason; one table says how many each rule removed.
"""

import argparse
import math
from pathlib import Path

from dataprep.commands import SAMENESS, clean_up_when_terminated, options_of, parser_of
from dataprep.errors import UserError, run
from dataprep.filter import Rules, TaskRules
from dataprep.normalise import Shape
from dataprep.pipeline import filter_rollouts
from dataprep.report.trainer import trainer_of
from dataprep.values import demand

PROJECT = Path(__file__).resolve().parent
NOT_TRAINERS = {"smoke_config", "accelerate_config"}


def main() -> None:
    clean_up_when_terminated()
    arguments = parser().parse_args()
    for name in ("min_pass_rate", "max_pass_rate"):
        demand(f"--{name}", getattr(arguments, name))
    for name in ("max_per_task", "max_per_category", "max_tokens", "max_chars"):
        demand(f"--{name}", getattr(arguments, name), math.inf, 1)
    given = {**vars(arguments), "agents": tuple(arguments.agents), "select": "all"}
    rules = Rules(**{name: given[name] for name in Rules.__struct_fields__})
    tasks = TaskRules(**{name: given[name] for name in TaskRules.__struct_fields__})
    shape = Shape(
        images=arguments.images,
        incomplete=arguments.incomplete,
        metadata=arguments.balance not in {None, "agent"},
    )
    filter_rollouts(options_of(arguments), rules, tasks, shape, tokenizer(arguments))


def tokenizer(arguments: argparse.Namespace) -> str | None:
    """The model whose tokens are counted, when they are."""
    if arguments.max_tokens is None:
        return None
    configs = [path for path in PROJECT.glob("*_config.yaml") if path.stem not in NOT_TRAINERS]
    named: list[str | None] = [arguments.tokenizer, *(trainer_of(path).model for path in configs)]
    for model in named:
        if model:
            return model
    raise UserError("--max_tokens needs a tokenizer.", "Name its model with --tokenizer.")


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__)
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
    one("--keep_masked", action="store_true", help="masked by the environment")
    one("--keep_failed", action="store_true", help="failed in the environment")
    task = parser.add_argument_group("rules over the rollouts of a task").add_argument
    task("--duplicates", choices=SAMENESS, default="keep", help="which conversations are the same")
    task("--max_per_task", type=int, help="rollouts, drawn at random but the same every time")
    task("--min_pass_rate", type=float, help="share of a task's rollouts that solved it, 0 to 1")
    task("--max_pass_rate", type=float, help="0.99 drops tasks that are always solved")
    task("--solved_from", type=float, default=0.5, help="lowest reward that solves (default 0.5)")
    task("--balance", metavar="KEY", help="same number for each agent, or value of a metadata key")
    task("--max_per_category", type=int, help="that number (default: of the smallest category)")
    return parser


if __name__ == "__main__":
    run(main)
