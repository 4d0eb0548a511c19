"""Filtered rollouts become the dataset that OpenRLHF reads.

    python prepare_for_openrlhf.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the dataset kind, or --kind does:

    sft         messages                                              --data.input_key
    preference  prompt_messages, chosen_messages, rejected_messages   --data.prompt_key and others
    prompts     prompt, label                                         --data.input_key, label_key

`--keys prompt=input label=answer` gives columns other names. `dataprep/formats/openrlhf.py` has
the rows; parquet keeps tools and arguments as they are whatever their shape.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {
    "sft": "sft",
    "dpo": "preference",
    "rm": "preference",
    "ppo": "prompts",
    "grpo": "prompts",
    "rloo": "prompts",
    "reinforce_pp": "prompts",
    "dapo": "prompts",
    "gspo": "prompts",
}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__, framework="openrlhf", config="openrlhf_config.yaml", kinds=KINDS
        )
    )
