"""Filtered rollouts become the dataset that NeMo-RL reads.

    python prepare_for_nemo_rl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the dataset kind, or --kind does:

    sft         messages, reward, metadata, tools    dataset_name: openai_format
    preference  context, completions, by rank        dataset_name: PreferenceDataset
    prompts     tasks of NeMo Gym                    dataset_name: NemoGymDataset

`dataprep/formats/nemo_rl.py` has them, and those of other dataset kinds.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {
    "sft": "sft",
    "dpo": "preference",
    "rm": "preference",
    "grpo": "prompts",
    "dapo": "prompts",
    "gspo": "prompts",
    "rloo": "prompts",
    "reinforce_pp": "prompts",
    "ppo": "prompts",
}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__, framework="nemo_rl", config="nemo_rl_config.yaml", kinds=KINDS
        )
    )
