"""What stands on a chat message beside its content: reasoning under its many names, and whether
the message is to be learned at all."""

from typing import Any

import msgspec

from ..errors import SetAside
from .content import Content, is_text
from .items import Item
from .rollout import ABSENT, raw

SILENT = (ABSENT, msgspec.Raw(b"null"), msgspec.Raw(b'""'), msgspec.Raw(b"[]"), msgspec.Raw(b"{}"))
REASONING = (
    "reasoning_content", "reasoning", "reasoning_text", "thinking", "thought", "reasoning_details",
    "thinking_blocks",
)  # fmt: skip
"""Keys that hold it, of which some writers fill two with the same; the first that says something
counts. Source: the chat APIs of DeepSeek, vLLM, OpenRouter, Ollama, Anthropic and LiteLLM."""
WEIGHTS = ("weight", "loss_weight", "loss", "loss_mask", "trainable", "train", "training")
"""Keys that say whether a message is learned. Source: the fine-tuning formats of OpenAI, Together,
Axolotl and LLaMA-Factory."""
THOUGHTS = {"thinking", "reasoning", "reasoning_text", "reasoning_content"}
"""Types of content parts that hold reasoning."""
HIDDEN = {"redacted_thinking", "redacted_reasoning", "reasoning.encrypted"}
"""Types of what nobody but its author can read."""
TEXTS = ("text", "thinking", "reasoning", "reasoning_content", "summary", "content")
"""Keys of a piece of reasoning that hold its text."""


def thought_of(message: Item) -> msgspec.Raw:
    """The reasoning beside the content, as JSON text; absent where there is none.

    Raises:
        SetAside: for reasoning in a form that is not known.
    """
    for name in REASONING:
        value = getattr(message, name)
        if value in SILENT:
            continue
        if is_text(value):
            return value  # type: ignore[no-any-return]
        found = msgspec.json.decode(value)
        if isinstance(found, bool | int | float):
            continue  # whether, or how hard, the model thought
        if text := _thoughts(found):
            return raw(text)
    return ABSENT


def parted(content: Content) -> tuple[msgspec.Raw, Content]:
    """Reasoning that stands among the parts of content, and the content without it."""
    if not content or (not isinstance(content, list) and is_text(content)):
        return ABSENT, content
    parts = msgspec.json.decode(raw(content) if isinstance(content, list) else content)
    if not isinstance(parts, list) or not any(map(_is_thought, parts)):
        return ABSENT, content
    text = _thoughts([part for part in parts if _is_thought(part)])
    rest = raw([part for part in parts if not _is_thought(part)])
    return (raw(text) if text else ABSENT), rest


def is_learned(message: Item) -> bool | None:
    """Whether a message is to be learned, None where it does not say.

    Raises:
        SetAside: for weights that no trainer here keeps.
    """
    found = None
    for name in WEIGHTS:
        value = getattr(message, name)
        if value is None:
            continue
        if not isinstance(value, int | float) or value not in (0, 1):
            raise SetAside(f"the weight of a message is neither 0 nor 1: {name} {value!r:.40}")
        if found is not None and found != bool(value):
            raise SetAside("a message is to be learned and not to be learned")
        found = bool(value)
    if found and message.role != "assistant":
        raise SetAside(f"a message is to be learned that the model did not write: {message.role}")
    return found


def learned_part(turns: list[int], unlearned: set[int], end: int) -> tuple[int, int]:
    """Of a conversation of which some turns of the model are not to be learned, where the part
    begins that is, and where it ends: what stands before it is given.

    Args:
        turns: places of the model's messages in what came back.
        unlearned: those that are not to be learned.
        end: of the conversation.

    Raises:
        SetAside: where there is no such part.
    """
    learned = [at for at in turns if at not in unlearned]
    if not learned:
        raise SetAside("no turn of the model is to be learned")
    first, last = learned[0], learned[-1]
    if any(first < at < last for at in unlearned):
        raise SetAside("a turn that is not to be learned stands between two that are")
    return first, end if last == turns[-1] else last + 1


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("type")) in THOUGHTS | HIDDEN


def _thoughts(value: Any) -> str:
    """The text of decoded reasoning: a text, or pieces of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_thoughts, value)))
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise SetAside("reasoning in a form that is not known")
    if str(value.get("type")) in HIDDEN:
        return ""
    for key in TEXTS:
        if value.get(key):
            return _thoughts(value[key])
    raise SetAside(f"reasoning in a form that is not known: its keys are {', '.join(value)}")
