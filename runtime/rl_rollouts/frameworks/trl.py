"""Rows for TRL 1.16.0.

    sft          prompt, completion, tools
    preference   prompt, chosen, rejected, tools    DPOTrainer and RewardTrainer
    unpaired     prompt, completion, label, tools   KTOTrainer
    prompts      task, prompt, tools, ground_truth, metadata   GRPOTrainer and RLOOTrainer, which
                 hand every column but the prompt to the reward function

Source: the conversational formats of TRL's guide to datasets, and `_prepare_dataset` of each
trainer. Declare all columns as `datasets.Json` when loading JSONL, or write parquet, where they are
declared: guessing types from the first rows, `datasets` fails on what differs further down.
"""

import msgspec

from ..data.build import Judged, Pair
from ..data.rollout import Message, Rollout
from ..data.rows import Prompt, Row, prompt, until_last_turn
from ..engine.parquet import columns
from . import ConfigKeys


class Answered(msgspec.Struct):
    """Prompt and completion apart, so that nothing in the prompt is trained on."""

    prompt: list[Message]
    completion: list[Message]
    tools: msgspec.Raw


class Compared(msgspec.Struct):
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    tools: msgspec.Raw


class Labelled(msgspec.Struct):
    prompt: list[Message]
    completion: list[Message]
    label: bool
    """Whether the completion is one to write."""
    tools: msgspec.Raw


def sft(rollout: Rollout) -> Answered:
    return Answered(rollout.prompt, until_last_turn(rollout.completion), rollout.tools)


def preference(pair: Pair) -> Compared:
    chosen, rejected = until_last_turn(pair.chosen), until_last_turn(pair.rejected)
    return Compared(pair.prompt, chosen, rejected, pair.tools)


def unpaired(judged: Judged) -> Labelled:
    rollout = judged.rollout
    completion = until_last_turn(rollout.completion)
    return Labelled(rollout.prompt, completion, judged.good, rollout.tools)


ROWS: dict[str, Row] = {
    "sft": sft,
    "preference": preference,
    "unpaired": unpaired,
    "prompts": prompt,
}
COLUMNS = {
    "sft": columns(Answered),
    "preference": columns(Compared),
    "unpaired": columns(Labelled),
    "prompts": columns(Prompt),
}
REFUSED = {
    "trajectories": "TRL has no trainer that reads rewards of single steps. Train sft on the "
    "better rollouts, or dpo on pairs of them.",
}
CONFIG = ConfigKeys(
    limit=("max_length", "max_prompt_length"),
    model=("model_name_or_path",),
    fate="cut",
    default=1024,
    choice="algorithm",
    fates=dict.fromkeys(("rm", "grpo", "rloo", "dapo", "gspo"), "left out"),
)
