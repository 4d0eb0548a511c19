"""What NeMo Gym's records hold beside plain items: conversations step by step, and tools."""

from collections.abc import Sequence
from typing import Any

import msgspec
import xxhash

from ..errors import Damaged, SetAside
from .content import plain
from .items import Item
from .record import Odd, Record, Response
from .rollout import NULL, Json, raw

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


def chat_tools(tools: msgspec.Raw) -> msgspec.Raw:
    """Flat Responses tools, or chat tools, in chat format as JSON text; null for none.

    Raises:
        SetAside: for hosted tools, which have no schema that a chat template could show.
        Damaged: for what is no list of tools.
    """
    if len(tools) <= len(b"null") and bytes(tools) in (b"null", b"[]", b""):
        return NULL
    digest = xxhash.xxh3_128_digest(tools)
    found = _chat_tools.get(digest)
    if found is None:
        if len(_chat_tools) >= MOST_TOOL_SETS:
            _chat_tools.clear()
        found = msgspec.Raw(msgspec.json.encode(_converted(bytes(tools))))
        _chat_tools[digest] = found
    return found


def other_tools(record: Record) -> msgspec.Raw:
    """Tools under the name that they had first, or where verifiers keeps them.

    Source: `oai_tools` in verifiers' datasets.
    """
    if record.functions is not NULL and record.functions != NULL:
        return record.functions
    if bytes(record.info).find(b"oai_tools") < 0:
        return record.tools
    info = plain(msgspec.json.decode(record.info), "info is")
    return raw(info.get("oai_tools")) if isinstance(info, dict) else record.tools


def message_of(response: Response) -> list[Item]:
    """The message in an answer of a chat API."""
    if not response.choices:
        return [Item(role=response.role, content=response.content)]
    try:
        choices = msgspec.json.decode(response.choices, type=list[Choice])
    except msgspec.ValidationError as error:
        raise Damaged(f"the choices of the response are not those of a chat: {error}") from None
    if len(choices) != 1:
        raise Damaged(f"the response has {len(choices)} choices")
    return [choices[0].message]


class Choice(msgspec.Struct):
    """One of the answers of OpenAI's chat API."""

    message: Item
    finish_reason: Any = None


_chat_tools: dict[bytes, msgspec.Raw] = {}
"""By the checksum of what stands in the record."""


def _converted(text: bytes) -> list[Json] | None:
    tools = plain(msgspec.json.decode(text), "tools is")
    if not tools:
        return None
    if isinstance(tools, dict):
        tools = [tools]
    if not isinstance(tools, list):
        raise Damaged("tools is not a list of objects")
    return [_chat_tool(plain(tool, "a tool is")) for tool in tools]


def _chat_tool(tool: Any) -> Json:
    """In chat format, whatever the API that it was written for; a function needs no type."""
    if not isinstance(tool, dict):
        raise Damaged("tools is not a list of objects")
    kind = tool.get("type")
    if kind not in (None, "function") and "input_schema" not in tool:
        raise SetAside(f"a tool of type {kind} has no schema to show to the model")
    function = tool.get("function", tool)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise SetAside("a tool has no name" if kind else "a tool has no type, and no name")
    schema = plain(function.get("parameters", function.get("input_schema")), "the parameters are")
    if not isinstance(schema, dict | None):
        raise Damaged("the parameters of a tool are not an object")
    if function is not tool and kind and schema is function.get("parameters"):
        return tool
    found = {key: function[key] for key in ("name", "description") if function.get(key) is not None}
    found |= {} if schema is None else {"parameters": schema}
    found |= {} if function.get("strict") is None else {"strict": function["strict"]}
    return {"type": "function", "function": found}
