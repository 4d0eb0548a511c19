"""What a conversation is made of: Responses items and chat messages, decoded as far as read."""

from operator import attrgetter
from typing import Any, ClassVar, Literal

import msgspec

from .rollout import ABSENT


class Item(msgspec.Struct, gc=False):
    """A Responses item or a chat message. Absent fields are None, absent texts empty."""

    type: Any = None
    role: Any = None
    content: msgspec.Raw = ABSENT
    summary: msgspec.Raw = ABSENT
    reasoning_content: msgspec.Raw = ABSENT
    tool_calls: msgspec.Raw = ABSENT
    tool_call_id: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    output: msgspec.Raw = ABSENT
    reward: Any = None
    prompt_token_ids: msgspec.Raw = ABSENT
    generation_token_ids: msgspec.Raw = ABSENT
    generation_log_probs: msgspec.Raw = ABSENT
    reasoning: msgspec.Raw = ABSENT
    reasoning_details: msgspec.Raw = ABSENT
    reasoning_text: msgspec.Raw = ABSENT
    thinking: msgspec.Raw = ABSENT
    thinking_blocks: msgspec.Raw = ABSENT
    thought: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    weight: Any = None
    loss_weight: Any = None
    loss: Any = None
    loss_mask: Any = None
    trainable: Any = None
    train: Any = None
    training: Any = None
    finish_reason: Any = None
    stop_reason: Any = None


beside = attrgetter(
    "reasoning_content", "reasoning", "reasoning_details", "reasoning_text", "thinking",
    "thinking_blocks", "thought", "tool_calls", "function_call", "weight", "loss_weight", "loss",
    "loss_mask", "trainable", "train", "training",
)  # fmt: skip
"""What a chat message may have beside its content, and a Responses item has not."""
NOTHING_BESIDE = beside(Item())


class Part(msgspec.Struct, gc=False):
    """A part of content that is plain text, which is not decoded."""

    type: Literal["output_text", "summary_text", "text", "input_text", "reasoning_text"]
    text: msgspec.Raw


class Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An item that holds nothing else than these, as nearly all do: every key that is declared
    costs time at each key of each item."""

    reward: ClassVar[None] = None
    weight: ClassVar[None] = None
    id: Any = None
    type: Any = None
    role: Any = None
    status: Any = None
    summary: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    encrypted_content: msgspec.Raw = ABSENT
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    output: msgspec.Raw = ABSENT
    prompt_token_ids: msgspec.Raw = ABSENT
    generation_token_ids: msgspec.Raw = ABSENT
    generation_log_probs: msgspec.Raw = ABSENT


class Written(Plain, gc=False, forbid_unknown_fields=True):
    """An item as models' servers write them: all content in plain parts.

    To read the parts later would mean to read all that the model wrote twice.
    """

    summary: list[Part] | None = None  # type: ignore[assignment]
    content: list[Part] | None = None  # type: ignore[assignment]


KINDS = {Item, Plain, Written}
OF_ITEMS = {field.name for field in msgspec.structs.fields(Item)}


def widened(item: Plain) -> Item:
    """The same item with all the fields that one may have."""
    return Item(**{name: getattr(item, name) for name in OF_ITEMS & set(item.__struct_fields__)})
