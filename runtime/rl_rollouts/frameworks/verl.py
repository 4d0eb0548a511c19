"""verl 0.9.1: its rows, the names of its log, and checkpoints that only its own merger joins.

    sft            messages, tools, given: parquet only, see below
    prompts        data_source, prompt, ability, reward_model, extra_info: JSONL or parquet
    trajectories   states, actions, rewards: for code of your own, as verl always generates anew

Source: `verl/utils/dataset/rl_dataset.py` and `multiturn_sft_dataset.py`.

RLHFDataset reads parquet through `datasets`, which decodes JSON columns, so everything comes back
as it was. From JSONL it guesses types from the first rows: safe as long as every prompt is plain
text without calls. MultiTurnSFTDataset reads parquet through pandas, which leaves the JSON columns
text; `data.custom_cls` has to name a subclass that decodes them. Nested columns would need no
subclass, but arrow gives every row the keys of all rows there, filled with null.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..data.build import Trajectory
from ..data.rollout import Json, Message, Rollout, Tokens
from ..data.rows import Row, conversation, json_text, text_of
from ..engine.parquet import columns
from ..errors import UserError
from . import ConfigKeys, Training, count_of, limit_of, value_of


class Conversation(msgspec.Struct):
    messages: list[Message]
    tools: msgspec.Raw
    given: int
    """Messages that come first and are not learned; after them, what the assistant wrote is."""


class RewardModel(msgspec.Struct):
    """What verl's reward managers take the ground truth from."""

    ground_truth: str
    """Strings as they are, anything else as JSON text: arrow wants one type."""
    style: str = "rule"


class ExtraInfo(msgspec.Struct):
    """Handed to the reward function as a dict. All but the task are JSON text."""

    task: str
    prompt: str
    tools: str
    ground_truth: str
    metadata: str


class Question(msgspec.Struct):
    data_source: str
    """The environment; verl reports validation scores for each."""
    prompt: list[Message]
    ability: str
    """Read by nothing, expected by convention."""
    reward_model: RewardModel
    extra_info: ExtraInfo


class Steps(msgspec.Struct):
    """One rollout, step by step; the lists are equally long."""

    states: list[list[Message]]
    """What the model saw before each step."""
    actions: list[Message]
    rewards: list[float]
    tools: msgspec.Raw
    task: str
    tokens: list[Tokens] | None
    metadata: dict[str, msgspec.Raw]


def sft(rollout: Rollout) -> Conversation:
    return Conversation(conversation(rollout), rollout.tools, len(rollout.prompt))


def prompts(rollout: Rollout, *, data_source: str | None = None) -> Question:
    """One prompt of online RL.

    Args:
        data_source: the same for all rows; otherwise the agent of the rollout. verl computes
            rewards itself for the names of public datasets, such as openai/gsm8k.
    """
    source = data_source or rollout.agent or "rollouts"
    extra = ExtraInfo(
        task=rollout.task,
        prompt=json_text(rollout.prompt),
        tools=json_text(rollout.tools),
        ground_truth=json_text(rollout.ground_truth),
        metadata=json_text(rollout.metadata),
    )
    truth = RewardModel(text_of(rollout.ground_truth))
    return Question(source, rollout.prompt, source, truth, extra)


def trajectories(trajectory: Trajectory) -> Steps:
    return Steps(
        states=trajectory.states,
        actions=trajectory.actions,
        rewards=trajectory.rewards,
        tools=trajectory.tools,
        task=trajectory.task,
        tokens=trajectory.tokens,
        metadata=trajectory.metadata,
    )


def training(config: Mapping[str, Any], _: Path) -> Training:
    """Both trainers leave out what fills no step. Source: their data loaders (`drop_last`)."""
    roots = value_of(config, "defaults")
    online = isinstance(roots, list) and "ppo_trainer" in roots
    common: dict[str, Any] = {
        "epochs": count_of(config, "trainer.total_epochs", 30 if online else 4),
        "max_steps": limit_of(config, "trainer.total_training_steps"),
        "fill": "none",
    }
    if not online:
        rows = count_of(config, "data.train_batch_size", 256)
        return Training("sft", rows, **common)
    rows = count_of(config, "data.train_batch_size", 1024)
    several = "actor_rollout_ref.rollout.multi_turn"
    paths = (f"{several}.function_tool_path", f"{several}.tool_config_path")
    shown = any(value_of(config, path) for path in paths)
    return Training(
        str(value_of(config, "algorithm.adv_estimator", "gae")),
        rows,
        responses=rows * count_of(config, "actor_rollout_ref.rollout.n", 1),
        tools="show" if shown else value_of(config, "data.rows_with_tools", "refuse"),
        tools_key="data.rows_with_tools",
        **common,
    )


def tools_of(row: Mapping[str, Any]) -> Any:
    """Those of a row of prompts, which stand as JSON text."""
    tools = (row.get("extra_info") or {}).get("tools")
    return json.loads(tools) if isinstance(tools, str) else tools


def reward_arguments(extra_info: Json) -> Json:
    """What `rewards.score` wants beside the response, from the extra_info of a row."""
    return {
        name: msgspec.json.decode(extra_info[name])
        for name in ("prompt", "ground_truth", "metadata")
    }


ROWS: dict[str, Row] = {"sft": sft, "prompts": prompts, "trajectories": trajectories}
COLUMNS = {
    "sft": columns(Conversation),
    "prompts": columns(Question),
    "trajectories": columns(Steps),
}
REFUSED = {
    "preference": "verl has no trainer for pairs: neither dpo nor reward models. Train sft on the "
    "better rollouts or grpo on the prompts, or choose TRL, OpenRLHF or NeMo-RL.",
    "unpaired": "verl has no kto trainer. Train sft on the better rollouts, or choose TRL.",
}
CONFIG = ConfigKeys(
    limit=("data.max_length", "data.max_prompt_length"),
    model=("model.path", "actor_rollout_ref.model.path"),
    fate="refused",
    default=1024,
    choice="data.truncation",
    fates={"error": "refused", "left": "cut", "right": "cut"},
)
LOG_NAMES = {
    "train/loss": "loss",
    "val/loss": "eval_loss",
    "train/grad_norm": "grad_norm",
    "train/lr": "learning_rate",
    "critic/score/mean": "reward",
    "actor/pg_loss": "loss",
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/entropy": "entropy",
    "actor/kl_loss": "kl",
    "critic/rollout_kl": "kl",
    "response_length/mean": "completions/mean_length",
    "response_length/max": "completions/max_length",
    "response_length/clip_ratio": "completions/clipped_ratio",
    "perf/throughput": "tokens_per_second",
}


MARKS = ("fsdp_config.json", "model/huggingface/config.json")
"""What verl writes beside the parts of its processes: with FSDP, and with Megatron."""


def parts_of(checkpoint: Path) -> Path | None:
    """The folder of a checkpoint of verl that has the model's parts; None for any other."""
    for folder in (checkpoint, checkpoint / "actor"):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return None


def join(folder: Path, target: Path, base: str | None = None) -> None:
    """Write the model of `parts_of` as one: a whole one, or LoRA weights.

    Args:
        target: a new folder.
        base: the model that LoRA weights belong to.

    Raises:
        UserError: when verl is not installed, or cannot join the parts.
    """
    if not (folder / MARKS[0]).exists():
        # Megatron's weights were already joined when they were saved.
        shutil.copytree((folder / MARKS[1]).parent, target)
        return
    words = ["--backend", "fsdp", "--local_dir", str(folder), "--target_dir", str(target)]
    command = [sys.executable, "-m", "verl.model_merger", "merge", *words]
    # It works on the CPU, and would otherwise look for a GPU.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, text=True, capture_output=True, env=environment)
    if done.returncode:
        *_, reason = done.stderr.strip().splitlines() or ["it says nothing"]
        raise UserError(
            f"verl cannot join the parts in {folder}: {reason[:300]}",
            "Its processes may have been stopped while saving, or verl is not installed here. "
            "Take another checkpoint, or a machine with verl.",
        )
    adapter = target / "lora_adapter"
    if adapter.is_dir():
        _keep_adapter(folder, target, adapter, base)


def _keep_adapter(folder: Path, target: Path, adapter: Path, base: str | None) -> None:
    """Of what verl wrote, only the LoRA weights, which it does not say the model of."""
    described = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    described["base_model_name_or_path"] = base
    written = target.with_name(f"{target.name}.adapter")
    shutil.move(adapter, written)
    shutil.rmtree(target)
    written.rename(target)
    (target / "adapter_config.json").write_text(json.dumps(described, indent=2), "utf-8")
    for file in (folder / "huggingface").iterdir():
        if "token" in file.name or file.suffix in {".jinja", ".txt"}:
            shutil.copy(file, target)
