"""Filtered rollouts become the dataset that OpenRLHF reads.

    python prepare_for_openrlhf.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the dataset kind, or --kind does:

    sft         messages, tools                             data.input_key
    preference  prompt_messages, chosen_messages,           data.prompt_key, data.chosen_key,
                rejected_messages, margin, tools            data.rejected_key
    prompts     prompt, label, datasource                   data.input_key, data.label_key

For sft each turn of the model is a row of its own, unless `data.multiturn` is true. `--columns
prompt=input label=answer` gives columns other names, which the config has to name too.
`rl_rollouts.frameworks.openrlhf` has the rows.
"""

from collections.abc import Mapping
from typing import Any

from rl_rollouts.commands import Config, by_key, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run
from rl_rollouts.frameworks import openrlhf, value_of

ROWS = openrlhf.ROWS
"""How rows of each dataset kind are made; with one of yours: openrlhf.ROWS | {"sft": my_row}."""


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout. What
    `rl_rollouts.data.normalise.rollout(prompt=..., response=..., reward=...)` makes will do."""
    return None


def implied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the config says about the rows.

    OpenRLHF trains the last turn of a conversation alone, unless data.multiturn is set; a reward
    model judges what was done as a whole.
    """
    algorithm = settings["algorithm"]
    multiturn = value_of(settings, "data.multiturn", False)
    return {"per_turn": algorithm == "sft" and not multiturn, "whole": algorithm == "rm"}


CONFIG = Config("openrlhf_config.yaml", by_key("algorithm"), implied)


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(lambda: prepare_command(__doc__, rows=ROWS, framework=openrlhf, config=CONFIG, hooks=hooks))
