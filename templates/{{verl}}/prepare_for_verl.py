"""Filtered rollouts become the dataset that verl reads.

    python prepare_for_verl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the dataset kind, or --kind does:

    prompts        data_source, prompt, reward_model, extra_info   JSONL or parquet
    sft            messages, tools                                 --output training_data.parquet
    trajectories   states, actions, rewards                        for code of your own

`dataprep/formats/verl.py` has them.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {
    "sft": "sft",
    "ppo": "prompts",
    "grpo": "prompts",
    "rloo": "prompts",
    "reinforce_pp": "prompts",
    "dapo": "prompts",
    "gspo": "prompts",
}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(lambda: prepare_command(__doc__, framework="verl", config="verl_config.yaml", kinds=KINDS))
