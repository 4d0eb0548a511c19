"""Rows for a trainer of your own. `schemas/<kind>.json` describes each field.

    sft            task, prompt, completion, tools, reward, tokens, metadata
    preference     task, prompt, chosen, rejected, tools, chosen_reward, rejected_reward
    unpaired       task, prompt, completion, tools, reward, label, metadata
    prompts        task, prompt, tools, ground_truth, metadata
    trajectories   task, states, actions, rewards, tools, tokens, metadata

Completions are whole: what follows the model's last turn is still there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..data.build import Judged, Pair, Trajectory
from ..data.rollout import Message, Rollout, Tokens
from ..data.rows import Prompt, Row, prompt
from ..engine.parquet import columns
from . import ConfigKeys, Training, count_of, limit_of, value_of


class Answered(msgspec.Struct):
    task: str
    prompt: list[Message]
    completion: list[Message]
    tools: msgspec.Raw
    reward: float | None
    tokens: list[Tokens] | None
    metadata: dict[str, msgspec.Raw]


class Compared(msgspec.Struct):
    task: str
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    tools: msgspec.Raw
    chosen_reward: float
    rejected_reward: float


class Labelled(msgspec.Struct):
    task: str
    prompt: list[Message]
    completion: list[Message]
    tools: msgspec.Raw
    reward: float | None
    label: bool
    metadata: dict[str, msgspec.Raw]


class Steps(msgspec.Struct):
    task: str
    states: list[list[Message]]
    actions: list[Message]
    rewards: list[float]
    tools: msgspec.Raw
    tokens: list[Tokens] | None
    metadata: dict[str, msgspec.Raw]


def sft(rollout: Rollout) -> Answered:
    return Answered(
        task=rollout.task,
        prompt=rollout.prompt,
        completion=rollout.completion,
        tools=rollout.tools,
        reward=rollout.reward,
        tokens=rollout.turn_tokens,
        metadata=rollout.metadata,
    )


def preference(pair: Pair) -> Compared:
    return Compared(
        task=pair.task,
        prompt=pair.prompt,
        chosen=pair.chosen,
        rejected=pair.rejected,
        tools=pair.tools,
        chosen_reward=pair.chosen_reward,
        rejected_reward=pair.rejected_reward,
    )


def unpaired(judged: Judged) -> Labelled:
    rollout = judged.rollout
    return Labelled(
        task=rollout.task,
        prompt=rollout.prompt,
        completion=rollout.completion,
        tools=rollout.tools,
        reward=rollout.reward,
        label=judged.good,
        metadata=rollout.metadata,
    )


def trajectories(trajectory: Trajectory) -> Steps:
    return Steps(
        task=trajectory.task,
        states=trajectory.states,
        actions=trajectory.actions,
        rewards=trajectory.rewards,
        tools=trajectory.tools,
        tokens=trajectory.tokens,
        metadata=trajectory.metadata,
    )


def training(config: Mapping[str, Any], _: Path) -> Training:
    """Defaults as custom_settings.py has them."""
    algorithm = value_of(config, "algorithm", "sft")
    batch, group = count_of(config, "global_batch_size", 32), count_of(config, "num_generations", 8)
    online = algorithm == "grpo"
    return Training(
        algorithm,
        rows=max(1, batch // group) if online else batch,
        responses=batch if online else 0,
        epochs=count_of(config, "epochs", 1.0),
        max_steps=limit_of(config, "max_steps"),
        fill="next",
        tools=value_of(config, "rows_with_tools", "refuse") if online else "show",
        tools_key="rows_with_tools",
    )


ROWS: dict[str, Row] = {
    "sft": sft,
    "preference": preference,
    "unpaired": unpaired,
    "prompts": prompt,
    "trajectories": trajectories,
}
COLUMNS = {
    "sft": columns(Answered),
    "preference": columns(Compared),
    "unpaired": columns(Labelled),
    "prompts": columns(Prompt),
    "trajectories": columns(Steps),
}
REFUSED: dict[str, str] = {}
CONFIG = ConfigKeys(
    limit=("max_length",),
    model=("model_name_or_path",),
    fate="dropped",
    choice="overlong",
    fates={"drop": "dropped", "cut": "cut"},
)
