"""Filtered rollouts become the dataset that TRL's trainer wants.

    python prepare_for_trl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the columns:

    sft                        prompt, completion, tools
    dpo, rm                    prompt, chosen, rejected, tools
    kto                        prompt, completion, label, tools
    grpo, rloo, dapo, gspo     task, prompt, tools, ground_truth, metadata

For kto, and for sft with `assistant_only_loss: false`, each turn of the model is a row of its own.
Pairs for rm are of whole completions. `rl_rollouts.frameworks.trl` has the rows.
"""

from collections.abc import Mapping
from typing import Any

from rl_rollouts.commands import Config, by_key, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run
from rl_rollouts.frameworks import trl

ROWS = trl.ROWS
"""How rows of each dataset kind are made; with one of yours: trl.ROWS | {"sft": my_row}."""


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout. What
    `rl_rollouts.data.normalise.rollout(prompt=..., response=..., reward=...)` makes will do."""
    return None


def implied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the config says about the rows.

    KTOTrainer puts the loss on all of a completion, and so does SFTTrainer where it cannot tell the
    model's turns apart; a reward model judges what was done as a whole.
    """
    algorithm = settings["algorithm"]
    marked = bool(settings.get("assistant_only_loss"))
    return {
        "per_turn": algorithm == "kto" or (algorithm == "sft" and not marked),
        "whole": algorithm == "rm",
    }


CONFIG = Config("trl_config.yaml", by_key("algorithm"), implied)


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(lambda: prepare_command(__doc__, rows=ROWS, framework=trl, config=CONFIG, hooks=hooks))
