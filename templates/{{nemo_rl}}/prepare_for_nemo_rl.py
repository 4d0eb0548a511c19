"""Filtered rollouts become the dataset that NeMo-RL reads.

    python prepare_for_nemo_rl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the dataset kind, or --kind does:

    sft         messages, reward, metadata, tools    dataset_name: openai_format
    preference  context, completions, by rank        dataset_name: PreferenceDataset
    prompts     tasks of NeMo Gym                    dataset_name: NemoGymDataset

`rl_rollouts.frameworks.nemo_rl` has them, and those of other dataset kinds.
"""

from typing import Any

from rl_rollouts.commands import Config, by_key, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import run
from rl_rollouts.frameworks import nemo_rl

ROWS = nemo_rl.ROWS
"""How rows of each dataset kind are made; with one of yours: nemo_rl.ROWS | {"sft": my_row}."""


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout. What
    `rl_rollouts.data.normalise.rollout(prompt=..., response=..., reward=...)` makes will do."""
    return None


CONFIG = Config("nemo_rl_config.yaml", by_key("algorithm"))


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(lambda: prepare_command(__doc__, rows=ROWS, framework=nemo_rl, config=CONFIG, hooks=hooks))
