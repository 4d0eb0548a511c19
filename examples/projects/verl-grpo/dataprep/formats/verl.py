"""Rows for verl 0.9.1.

    sft            messages, tools: parquet only, see below
    prompts        data_source, prompt, ability, reward_model, extra_info: JSONL or parquet
    trajectories   states, actions, rewards: for code of your own, as verl always generates anew

Source: `verl/utils/dataset/rl_dataset.py` and `multiturn_sft_dataset.py`.

RLHFDataset reads parquet through `datasets`, which decodes JSON columns, so everything comes back
as it was. From JSONL it guesses types from the first rows: safe as long as every prompt is plain
text without calls. MultiTurnSFTDataset reads parquet through pandas, which leaves the JSON columns
text; `data.custom_cls` has to name a subclass that decodes them. Nested columns would need no
subclass, but arrow gives every row the keys of all rows there, filled with null.
"""

import msgspec

from ..build import Trajectory
from ..parquet import columns
from ..rollout import Json, Message, Rollout, Tokens
from . import conversation, json_text, text_of


class Conversation(msgspec.Struct):
    """The loss is on every assistant message."""

    messages: list[Message]
    tools: msgspec.Raw


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
    return Conversation(conversation(rollout), rollout.tools)


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


def reward_arguments(extra_info: Json) -> Json:
    """What `rewards.score` wants beside the response, from the extra_info of a row."""
    return {
        name: msgspec.json.decode(extra_info[name])
        for name in ("prompt", "ground_truth", "metadata")
    }


ROWS = {"sft": sft, "prompts": prompts, "trajectories": trajectories}
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
