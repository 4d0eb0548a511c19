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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..config import read_yaml
from ..data.build import Judged, Pair
from ..data.rollout import Message, Rollout
from ..data.rows import Prompt, Row, prompt, until_last_turn
from ..engine.parquet import columns
from ..errors import UserError
from ..values import KINDS
from . import ConfigKeys, Training, count_of, limit_of, value_of


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


def training(config: Mapping[str, Any], folder: Path) -> Training:
    """Source: TrainingArguments, GRPOConfig and RLOOConfig, which calculate like this.

    The number of processes stands in accelerate_config.yaml beside the config.
    """
    each = count_of(config, "per_device_train_batch_size", 8)
    held = count_of(config, "gradient_accumulation_steps", 1)
    algorithm = str(value_of(config, "algorithm"))
    common: dict[str, Any] = {
        "algorithm": algorithm,
        "epochs": count_of(config, "num_train_epochs", 3.0),
        "max_steps": limit_of(config, "max_steps"),
    }
    batch = each * processes(folder)
    if KINDS.get(algorithm) != "prompts":
        last = value_of(config, "dataloader_drop_last", False)
        packed = bool(value_of(config, "packing", False))
        return Training(
            rows=batch * held, packed=packed, fill="none" if last else "short", **common
        )
    given = value_of(config, "generation_batch_size")
    generating = given // batch if given else count_of(config, "steps_per_generation", held)
    group = count_of(config, "num_generations", 2 if algorithm == "rloo" else 8)
    shown = value_of(config, "environment") is not None
    return Training(
        rows=max(1, batch * generating // group),
        responses=batch * generating,
        fill="none",
        updates=count_of(config, "num_iterations", 1) * generating / held,
        tools="show" if shown else value_of(config, "rows_with_tools", "refuse"),
        tools_key="rows_with_tools",
        **common,
    )


def chat_template(tokenizer: Any, settings: Mapping[str, Any]) -> str | None:
    """What SFTTrainer takes in place of the tokenizer's chat template, to mark the model's turns.

    Raises:
        UserError: when there is none that marks them.
    """
    if not value_of(settings, "assistant_only_loss", False):
        return None
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(tokenizer.chat_template):
        return None
    try:
        return get_training_chat_template(tokenizer)  # type: ignore[no-any-return]
    except ValueError as error:
        raise UserError(
            f"This model's chat template cannot mark the model's own words: {error}",
            "Set assistant_only_loss: false and prepare the data again: each turn of the model "
            "becomes a row of its own, and the loss falls on nothing else.",
        ) from None


def processes(folder: Path) -> int:
    """Those that train, as accelerate is told."""
    path = folder / "accelerate_config.yaml"
    found = read_yaml(path, "Bring it back from git.") if path.is_file() else None
    return int(count_of(found, "num_processes", 1))


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
