"""What NeMo Gym's records hold beside plain items: conversations step by step, and tools."""

from collections.abc import Sequence
from typing import Any

import msgspec
import xxhash

from ..errors import Damaged, SetAside
from .record import Item, Odd
from .rollout import NULL, Json

MOST_TOOL_SETS = 4096
"""Whose chat form is remembered: an environment shows the same tools in every rollout."""


def last_snapshot(items: Sequence[Any]) -> Sequence[Any]:
    """The whole conversation, where each item is the conversation up to one step.

    Raises:
        SetAside: when a step is not the beginning of the next.
    """
    if not items or type(items[0]) is not list:
        return items
    last: list[Any] = []
    for snapshot in items:
        if not isinstance(snapshot, list) or snapshot[: len(last)] != last:
            raise SetAside("the output is a list of lists that do not continue each other")
        last = snapshot
    try:
        return msgspec.json.decode(msgspec.json.encode(last), type=list[Item | Odd])
    except msgspec.ValidationError as error:
        raise Damaged(f"the output is no list of items: {error}") from None


def chat_tools(raw: msgspec.Raw) -> msgspec.Raw:
    """Flat Responses tools, or chat tools, in chat format as JSON text; null for none.

    Raises:
        SetAside: for hosted tools, which have no schema that a chat template could show.
        Damaged: for what is no list of tools.
    """
    if len(raw) <= len(b"null") and bytes(raw) in (b"null", b"[]", b""):
        return NULL
    digest = xxhash.xxh3_128_digest(raw)
    found = _chat_tools.get(digest)
    if found is None:
        if len(_chat_tools) >= MOST_TOOL_SETS:
            _chat_tools.clear()
        found = msgspec.Raw(msgspec.json.encode(_converted(bytes(raw))))
        _chat_tools[digest] = found
    return found


_chat_tools: dict[bytes, msgspec.Raw] = {}
"""By the checksum of what stands in the record."""


def _converted(text: bytes) -> list[Json] | None:
    tools = msgspec.json.decode(text)
    if isinstance(tools, str):
        try:
            tools = msgspec.json.decode(tools)
        except msgspec.DecodeError:
            raise Damaged("tools is text that is not JSON") from None
    if not tools:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Damaged("tools is not a list of objects")
    return [_chat_tool(tool) for tool in tools]


def _chat_tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        raise SetAside(f"a tool of type {tool.get('type')} has no schema to show to the model")
    if isinstance(tool.get("function"), dict):
        return tool
    fields = ("name", "description", "parameters", "strict")
    function = {key: tool[key] for key in fields if tool.get(key) is not None}
    return {"type": "function", "function": function}
