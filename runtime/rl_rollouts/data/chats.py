"""Plain chat records become the items of a conversation: `messages`, or a prompt and a response."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..errors import Damaged
from .conversation import END_OF_TURN
from .record import Item


def items_of(messages: Sequence[Any]) -> Iterator[Item]:
    """OpenAI chat messages as Responses items, which a conversation is made of.

    Raises:
        Damaged: for what is no message.
    """
    for message in messages:
        if type(message) is not Item:
            raise Damaged(f"a message is a {type(message).__name__}, not an object")
        if message.role == "assistant":
            yield END_OF_TURN
            yield Item(type="reasoning", content=message.reasoning_content)
            yield Item(
                type="message", role="assistant", content=message.content, reward=message.reward
            )
            yield from _calls(message)
        elif message.role == "tool":
            call_id, output = message.tool_call_id, message.content
            yield Item(type="function_call_output", call_id=call_id, output=output)
        else:
            yield Item(type="message", role=message.role, content=message.content)


def _calls(message: Item) -> Iterator[Item]:
    calls = msgspec.json.decode(message.tool_calls) if message.tool_calls else None
    if not isinstance(calls, list | None):
        raise Damaged("tool_calls is not a list")
    for call in calls or []:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise Damaged("a tool call is not an object")
        name, arguments = function.get("name"), function.get("arguments")
        yield Item(type="function_call", name=name, arguments=arguments, call_id=call.get("id"))
