"""Filtered rollouts become the dataset that TRL's trainer wants.

    python prepare_for_trl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the columns:

    sft   prompt, completion, tools
    dpo   prompt, chosen, rejected, tools

`dataprep/formats/trl.py` has them, and those of other dataset kinds.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {"sft": "sft", "dpo": "preference"}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(lambda: prepare_command(__doc__, framework="trl", config="trl_config.yaml", kinds=KINDS))
