"""Filtered rollouts become the rows that train_acme.py reads.

    python prepare_for_acme.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). `dataprep/formats/acme.py` says what a row is.
"""

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {"sft": "sft"}
"""Dataset kind of each algorithm."""


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__,
            framework="acme",
            config="acme_config.yaml",
            kinds=KINDS,
            # A row holds one message of the model, so each turn of a rollout is one.
            implied=lambda _: {"per_turn": True},
        )
    )
