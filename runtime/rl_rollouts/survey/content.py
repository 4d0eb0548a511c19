"""What is in a message."""

from typing import Any

import msgspec

from ..data.rollout import Message

_encoder = msgspec.json.Encoder()


def text_of(message: Message) -> str:
    """The content of a message; of what is not text, its type in brackets."""
    content = msgspec.json.decode(message.content)
    return content if isinstance(content, str) else "\n".join(map(_text_of_part, content))


def json_of(value: object) -> str:
    return _encoder.encode(value).decode()


def characters(message: Message) -> int:
    """Characters of the text, of the reasoning, and of the calls with their arguments."""
    calls = (call.function for call in message.tool_calls)
    called = sum(len(call.name) + len(json_of(call.arguments)) for call in calls)
    return len(text_of(message)) + len(message.thought) + called


def has_images(message: Message) -> bool:
    """Whether a part of it is not text."""
    if bytes(message.content).startswith(b'"'):
        return False
    return any(part.get("type") != "text" for part in msgspec.json.decode(message.content))


def _text_of_part(part: dict[str, Any]) -> str:
    kind = part.get("type")
    return str(part.get("text") or "") if kind == "text" else f"[{kind}]"
