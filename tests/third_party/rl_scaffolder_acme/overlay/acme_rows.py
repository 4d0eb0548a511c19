"""Rows for Acme.

    sft   prompt, answer, tools

An answer is one message of the model; all that stands before it is the prompt.
"""

import msgspec

from rl_rollouts.data.rollout import Message, Rollout
from rl_rollouts.engine.parquet import columns
from rl_rollouts.errors import SetAside


class Answered(msgspec.Struct):
    prompt: list[Message]
    answer: Message
    tools: msgspec.Raw


def sft(rollout: Rollout) -> Answered:
    """Of a rollout with one turn of the model, as `--per_turn` makes them."""
    if len(rollout.completion) > 1:
        raise SetAside("Acme learns one message: prepare with --per_turn")
    return Answered(rollout.prompt, rollout.completion[0], rollout.tools)


ROWS = {"sft": sft}
COLUMNS = {"sft": columns(Answered)}
ONLINE = "Acme reads answers and makes none. Train with sft."
REFUSED = {
    "preference": "Acme compares no answers. Train with sft.",
    "unpaired": "Acme judges no answers. Train with sft.",
    "prompts": ONLINE,
    "trajectories": ONLINE,
}
