"""Filtered rollouts become the dataset that verl reads.

    python prepare_for_verl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). `defaults` in the config decide the dataset kind, or --kind does:

    ppo_trainer          prompts        data_source, prompt, ability, reward_model, extra_info
    sft_trainer_engine   sft            messages, tools
                         trajectories   states, actions, rewards: for code of your own

JSONL or parquet, by the name of the output. `dataprep/formats/verl.py` has the rows.
"""

from typing import Any

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {"ppo_trainer": "prompts", "sft_trainer_engine": "sft"}
"""Configs of verl that train, and the dataset kind that each reads."""


def root_of(defaults: Any) -> str | None:
    """The config of verl that a defaults list begins with."""
    listed = defaults if isinstance(defaults, list) else []
    named = [each for each in listed if isinstance(each, str) and each in KINDS]
    return str(named[0]) if len(named) == 1 else None


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__,
            framework="verl",
            config="verl_config.yaml",
            kinds=KINDS,
            key="defaults",
            named=root_of,
        )
    )
