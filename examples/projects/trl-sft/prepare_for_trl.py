"""Filtered rollouts become the dataset that TRL's trainer wants.

    python prepare_for_trl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the columns:

    sft   prompt, completion, tools
    dpo   prompt, chosen, rejected, tools

Source: TRL 1.16.0, `SFTTrainer` and `DPOTrainer`, conversational formats.
"""

from dataprep.build import Pair
from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Row
from dataprep.rollout import Json, chat, prompt_completion

KINDS = {"sft": "sft", "dpo": "preference"}
"""Dataset kind of each algorithm."""


def preference_row(pair: Pair) -> Json:
    return {
        "prompt": [chat(message) for message in pair.prompt],
        "chosen": [chat(message) for message in pair.chosen],
        "rejected": [chat(message) for message in pair.rejected],
        "tools": pair.tools,
    }


ROWS: dict[str, Row] = {"sft": prompt_completion, "preference": preference_row}


if __name__ == "__main__":
    run(lambda: prepare_command(__doc__, config="trl_config.yaml", kinds=KINDS, rows=ROWS))
