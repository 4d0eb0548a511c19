"""Rows for OpenRLHF 0.11.2. The flags beside each kind name the columns; `renamed` changes them.

    sft          messages, tools              --data.input_key messages --data.multiturn
    preference   prompt_messages,             --data.prompt_key prompt_messages
                 chosen_messages,             --data.chosen_key chosen_messages
                 rejected_messages,           --data.rejected_key rejected_messages
                 margin, tools
    prompts      prompt, label, datasource    --data.input_key prompt --data.label_key label

All of them with --data.apply_chat_template. Without --data.multiturn only the last turn of the
model is trained. RewardDataset writes texts under the names `prompt` and `chosen`; where these are
columns of messages already, `datasets` 5.2.0 gives the texts back as lists, hence the longer names.

Source: `openrlhf/datasets/*.py`. It renders chat templates without tools: schemas stand in the
column `tools` for whoever reads it, but this framework does not show them to the model.

The loaders read with `datasets`, which guesses the types in JSONL from the first rows and fails, or
changes texts, where later rows differ. Parquet declares them and is read as it was written.
"""

import msgspec

from ..data.build import Pair
from ..data.rollout import Json, Message, Rollout
from ..data.rows import Row, conversation, json_text, prompt, text_of, until_last_turn
from ..engine.parquet import columns
from ..errors import Unusable
from . import ConfigKeys


class Conversation(msgspec.Struct):
    messages: list[Message]
    tools: str
    """JSON text."""


class Compared(msgspec.Struct):
    prompt_messages: list[Message]
    chosen_messages: list[Message]
    rejected_messages: list[Message]
    margin: float
    """Between the rewards; read by reward models with --model.margin_loss_enable."""
    tools: str
    """JSON text."""


class WholeCompared(msgspec.Struct):
    """Both lists begin with the prompt."""

    chosen_messages: list[Message]
    rejected_messages: list[Message]
    margin: float
    tools: str


class Question(msgspec.Struct):
    prompt: list[Message]
    label: str
    """Handed to the reward function, and all that it gets beside the text."""
    datasource: str
    """The environment; evaluation scores are reported for each."""


def sft(rollout: Rollout) -> Conversation:
    return Conversation(conversation(rollout), json_text(rollout.tools))


def preference(pair: Pair) -> Compared:
    chosen, rejected = until_last_turn(pair.chosen), until_last_turn(pair.rejected)
    margin = pair.chosen_reward - pair.rejected_reward
    return Compared(pair.prompt, chosen, rejected, margin, json_text(pair.tools))


def whole_preference(pair: Pair) -> WholeCompared:
    """A pair for a config without --data.prompt_key.

    Raises:
        Unusable: where a side has several messages. OpenRLHF takes all but the last one of the
            chosen list as the prompt then, and cuts the rejected one where that prompt would end.
    """
    row = preference(pair)
    sides = row.chosen_messages, row.rejected_messages
    if any(len(side) > 1 for side in sides):
        raise Unusable("a side of the pair has several messages: set --data.prompt_key")
    chosen, rejected = (row.prompt_messages + side for side in sides)
    return WholeCompared(chosen, rejected, row.margin, row.tools)


def prompts(rollout: Rollout, *, only_ground_truth: bool = False) -> Question:
    """One prompt of online RL.

    Args:
        only_ground_truth: make the label the bare ground truth, for reward functions and servers
            that exist already; otherwise it is all that `rewards.score` wants, as JSON text.
    """
    label = text_of(rollout.ground_truth) if only_ground_truth else json_text(prompt(rollout))
    return Question(rollout.prompt, label, rollout.agent or "rollouts")


def reward_arguments(label: str) -> Json:
    """What `rewards.score` wants beside the response, from the label of a row."""
    row = msgspec.json.decode(label)
    return {name: row[name] for name in ("prompt", "ground_truth", "metadata")}


ROWS: dict[str, Row] = {"sft": sft, "preference": preference, "prompts": prompts}
COLUMNS = {
    "sft": columns(Conversation),
    "preference": columns(Compared),
    "prompts": columns(Question),
}
REFUSED = {
    "unpaired": "OpenRLHF has no kto trainer. Train dpo on pairs of rollouts, or choose TRL.",
    "trajectories": "OpenRLHF has no trainer that reads rewards of single steps. Train sft on the "
    "better rollouts, dpo on pairs of them, or ppo on the prompts.",
}
CONFIG = ConfigKeys(
    limit=("data.max_len",),
    model=("model.model_name_or_path", "actor.model_name_or_path"),
    fate="cut",
)
