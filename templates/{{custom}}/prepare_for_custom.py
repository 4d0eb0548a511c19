"""Filtered rollouts become the rows that train_custom.py reads.

    python prepare_for_custom.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). A row is an object with

    prompt       chat messages that the model was given
    tools        tool schemas in chat format, or null
    completion   sft: chat messages from its first turn on, tool results and user turns among them
    chosen       dpo: the better completion, and rejected, the worse
    ground_truth grpo: what the reward function compares with

and more that this trainer does not read: `dataprep/schemas/` describes all fields of every dataset
kind, `dataprep/formats/custom.py` writes them, and `python -m dataprep.validate` checks them.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {"sft": "sft", "dpo": "preference", "grpo": "prompts"}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__, framework="custom", config="custom_config.yaml", kinds=KINDS
        )
    )
