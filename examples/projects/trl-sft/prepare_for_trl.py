"""Filtered rollouts become the dataset that TRL's trainer wants.

    python prepare_for_trl.py --input filtered.jsonl --output training_data.jsonl

Also writes training_data.eval.jsonl (rows of held-out tasks) and training_data.prompts.jsonl (their
prompts, for evaluate.py). The algorithm in the config decides the columns:

    sft                        prompt, completion, tools
    dpo, rm                    prompt, chosen, rejected, tools
    kto                        prompt, completion, label, tools
    grpo, rloo, dapo, gspo     task, prompt, tools, ground_truth, metadata

For kto, and for sft with `assistant_only_loss: false`, each turn of the model is a row of its own.
Pairs for rm are of whole completions. `dataprep/formats/trl.py` has the rows.
"""

from collections.abc import Mapping
from typing import Any

from dataprep.commands import prepare_command
from dataprep.errors import run
from dataprep.pipeline import Kind

KINDS: dict[str, Kind] = {
    "sft": "sft",
    "dpo": "preference",
    "kto": "unpaired",
    "rm": "preference",
    "grpo": "prompts",
    "rloo": "prompts",
    "dapo": "prompts",
    "gspo": "prompts",
}
"""Dataset kind of each algorithm."""


def implied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the config says about the rows.

    KTOTrainer puts the loss on all of a completion, and so does SFTTrainer where it cannot tell the
    model's turns apart; a reward model judges what was done as a whole.
    """
    algorithm = settings["algorithm"]
    marked = bool(settings.get("assistant_only_loss"))
    return {
        "per_turn": algorithm == "kto" or (algorithm == "sft" and not marked),
        "whole": algorithm == "rm",
    }


if __name__ == "__main__":
    run(
        lambda: prepare_command(
            __doc__, framework="trl", config="trl_config.yaml", kinds=KINDS, implied=implied
        )
    )
