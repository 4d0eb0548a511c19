"""Plain chat records become the items of a conversation: `messages`, or a prompt and a response."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..errors import Damaged
from .beside import is_learned, parted, thought_of
from .content import QUOTED, first_byte, is_text, plain
from .conversation import END_OF_TURN
from .items import KINDS, NOTHING_BESIDE, Item, Plain, beside, widened

RESULTS = ("tool", "function")
"""Roles of messages that hold what a tool returned."""
ROLES = {"system", "developer", "user", "assistant", *RESULTS}
SAYS = {"content", "tool_calls", "function_call"}
begins_like_messages = re.compile(r"""\s*\[?\s*\{\s*['"]""").match
ITEMS = {"message", "reasoning", "function_call", "function_call_output"}


def items_of(messages: Sequence[Any], *, apart: bool = True) -> Iterator[Item]:
    """OpenAI chat messages as Responses items, which a conversation is made of.

    Args:
        apart: whether each message of the model is a turn of its own.

    Raises:
        Damaged: for what is no message.
        SetAside: for what it says beside its content, and no trainer keeps.
    """
    for message in messages:
        if not isinstance(message, Item):
            raise Damaged(f"a message is a {type(message).__name__}, not an object")
        if message.role == "assistant":
            if apart:
                yield END_OF_TURN
            yield from _turn(message)
        elif message.role in RESULTS:
            is_learned(message)
            call_id, output = message.tool_call_id or message.call_id, message.content
            yield Item(type="function_call_output", call_id=call_id, output=output)
        else:
            is_learned(message)
            yield Item(type="message", role=message.role, content=message.content)


def expanded(items: Sequence[Any]) -> Sequence[Any]:
    """Responses items, of which those that are chat messages are made items too."""
    for item in items:
        if type(item) is Plain and item.role is not None and item.role not in RESULTS:
            content = item.content
            if not content or first_byte(content) == QUOTED:
                continue
        if _is_chat(item):
            break
    else:
        return items
    found: list[Any] = []
    for item in items:
        if _is_chat(item):
            message = item if type(item) is Item else widened(item)
            found += items_of([message], apart=False)
        else:
            found.append(item)
    return found


def written(text: str) -> list[Item] | None:
    """Messages that stand in a string as JSON text; None for any other text, JSON or not.

    Raises:
        Damaged: for messages as Python writes them.
    """
    if not begins_like_messages(text):
        return None
    try:
        found, problem = msgspec.json.decode(text), None
    except (msgspec.DecodeError, RecursionError):
        if "'role'" not in text:
            return None
        found, problem = _of_python(text), Damaged("text that holds messages, but not as JSON")
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not found or not all(map(_is_message, found)):
        return None
    if problem:
        raise problem
    return msgspec.json.decode(msgspec.json.encode(found), type=list[Item])


def _of_python(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_message(value: Any) -> bool:
    """Whether it has the shape of a chat message, or of a Responses item."""
    if not isinstance(value, dict):
        return False
    chat = str(value.get("role")) in ROLES and bool(SAYS & value.keys())
    return chat or str(value.get("type")) in ITEMS


def _is_chat(item: Any) -> bool:
    """Whether an item is a message that says more than a Responses item can."""
    kind = type(item)
    if kind not in KINDS or item.role is None:
        return False
    if item.role in RESULTS or (kind is Item and beside(item) != NOTHING_BESIDE):
        return True
    return _has_thought(item.content)


def _has_thought(content: Any) -> bool:
    """Whether reasoning may stand among the parts of content."""
    if isinstance(content, list):
        return any(part.type == "reasoning_text" for part in content)
    if not content or is_text(content):
        return False
    text = bytes(content)
    return text.find(b'"thinking') >= 0 or text.find(b'"re') >= 0


def _turn(message: Item) -> Iterator[Item]:
    """What the model wrote in one message."""
    thought, content = parted(message.content)
    yield Item(type="reasoning", content=thought_of(message) or thought)
    yield Item(
        type="message",
        role="assistant",
        content=content,  # type: ignore[arg-type]
        reward=message.reward,
        weight=is_learned(message),
        prompt_token_ids=message.prompt_token_ids,
        generation_token_ids=message.generation_token_ids,
        generation_log_probs=message.generation_log_probs,
    )
    yield from _calls(message)


def _calls(message: Item) -> Iterator[Item]:
    """The calls of a message, also under the name that they had first."""
    calls = plain(_decoded(message.tool_calls), "tool_calls is")
    if not calls and message.function_call:
        calls = [_decoded(message.function_call)]
    if not isinstance(calls, list | None):
        raise Damaged("tool_calls is not a list")
    for each in calls or []:
        call = plain(each, "a tool call is")
        function = plain(call.get("function", call), "a tool call is") if type(call) is dict else 0
        if not isinstance(function, dict):
            raise Damaged("a tool call is not an object")
        yield Item(
            type="function_call",
            name=function.get("name"),
            arguments=function.get("arguments", function.get("input")),
            call_id=call.get("id", call.get("call_id")),
        )


def _decoded(value: msgspec.Raw) -> Any:
    return msgspec.json.decode(value) if value else None
