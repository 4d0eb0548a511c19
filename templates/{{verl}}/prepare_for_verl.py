"""Filtered rollouts become the dataset that verl reads.

    python prepare_for_verl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). `defaults` in the config decide the dataset kind, or --kind does:

    ppo_trainer          prompts        data_source, prompt, ability, reward_model, extra_info
    sft_trainer_engine   sft            messages, tools
                         trajectories   states, actions, rewards: for code of your own

JSONL or parquet, by the name of the output. `rl_rollouts.frameworks.verl` has the rows.
"""

from collections.abc import Mapping
from typing import Any

from rl_rollouts.commands import Config, prepare_command
from rl_rollouts.data.hooks import Hooks
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import UserError, run
from rl_rollouts.frameworks import verl
from rl_rollouts.values import Kind

KINDS: dict[str, Kind] = {"ppo_trainer": "prompts", "sft_trainer_engine": "sft"}
"""Configs of verl that train, and the dataset kind that each reads."""

ROWS = verl.ROWS
"""How rows of each dataset kind are made; with one of yours: verl.ROWS | {"sft": my_row}."""


def change(rollout: Rollout) -> Rollout | None:
    """A rollout before rows are made of it; None leaves it out."""
    return rollout


def read(record: dict[str, Any]) -> Rollout | None:
    """A line of a format that the library does not know; None: it is no rollout. What
    `rl_rollouts.data.normalise.rollout(prompt=..., response=..., reward=...)` makes will do."""
    return None


def root_of(defaults: Any) -> str | None:
    """The config of verl that a defaults list begins with."""
    listed = defaults if isinstance(defaults, list) else []
    named = [each for each in listed if isinstance(each, str) and each in KINDS]
    return str(named[0]) if len(named) == 1 else None


def kind_of(settings: Mapping[str, Any]) -> Kind:
    """The dataset kind that a config of verl reads."""
    root = root_of(settings.get("defaults"))
    if root is None:
        raise UserError(
            f"`defaults` is {settings.get('defaults')!r}.",
            f"Give --config a file where it names one of {', '.join(KINDS)}, or give --kind.",
        )
    return KINDS[root]


CONFIG = Config("verl_config.yaml", kind_of)


if __name__ == "__main__":
    hooks = Hooks(read=read, change=change)
    run(lambda: prepare_command(__doc__, rows=ROWS, framework=verl, config=CONFIG, hooks=hooks))
