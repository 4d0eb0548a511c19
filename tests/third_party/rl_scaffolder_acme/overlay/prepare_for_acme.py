"""Filtered rollouts become the rows that train_acme.py reads.

    python prepare_for_acme.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). `acme_rows.py` says what a row is.
"""

from typing import Any

import acme_rows

from rl_rollouts.commands import Config, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run

ROWS = acme_rows.ROWS
# A row holds one message of the model, so each turn of a rollout is one.
CONFIG = Config("acme_config.yaml", lambda _: "sft", lambda _: {"per_turn": True})


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout."""
    return None


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(
        lambda: prepare_command(__doc__, rows=ROWS, framework=acme_rows, config=CONFIG, hooks=hooks)
    )
