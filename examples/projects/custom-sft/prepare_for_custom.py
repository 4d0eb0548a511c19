"""Filtered rollouts become the rows that train_custom.py reads.

    python prepare_for_custom.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). A row is an object with

    prompt       chat messages that the model was given
    tools        tool schemas in chat format, or null
    completion   sft: chat messages from its first turn on, tool results and user turns among them
    chosen       dpo: the better completion, and rejected, the worse
    ground_truth grpo: what the reward function compares with

and more that this trainer does not read: `rl_rollouts/schemas/` describes all fields of every
dataset kind, `rl_rollouts.frameworks.custom` has them, and `python -m rl_rollouts.validate` checks.
"""

from typing import Any

from rl_rollouts.commands import Config, by_key, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run
from rl_rollouts.frameworks import custom

ROWS = custom.ROWS
"""How rows of each dataset kind are made; with one of yours: custom.ROWS | {"sft": my_row}."""


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout. What
    `rl_rollouts.data.normalise.rollout(prompt=..., response=..., reward=...)` makes will do."""
    return None


CONFIG = Config("custom_config.yaml", by_key("algorithm"))


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(lambda: prepare_command(__doc__, rows=ROWS, framework=custom, config=CONFIG, hooks=hooks))
