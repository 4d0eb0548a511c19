"""OpenAI Responses items, as NeMo Gym records them, become chat messages.

One model turn is: reasoning, text, and any number of calls; the results of the calls follow. Where
a record leaves out what the model saw between two of its turns, the rollout is set aside: training
on it would teach an answer to a question that was never asked.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from .errors import Unusable
from .rollout import Json, Message, Role, ToolCall

ROLES: dict[str, Role] = {"user": "user", "system": "system", "developer": "system"}
TEXT_KEYS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}


class Conversation:
    """Chat messages built item by item."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._turn: Message | None = None
        self._unanswered: list[str | None] = []

    def extend(self, items: Sequence[Any]) -> None:
        """Add Responses items in order.

        Raises:
            Unusable: for an item that has no place in a chat.
        """
        for item in items:
            if not isinstance(item, dict):
                raise Unusable(f"an item is a {type(item).__name__}, not an object")
            self._add(item)

    def close(self) -> None:
        """End the model's turn, if it has begun one."""
        if self._turn is None:
            return
        if self._turn.content is None and not self._turn.tool_calls:
            raise Unusable("the model was cut off while reasoning")
        if self.messages and self.messages[-1].role == "assistant":
            raise Unusable("two turns of the model in a row: what it saw in between is missing")
        self.messages.append(self._turn)
        self._turn = None

    def _add(self, item: Json) -> None:
        kind = item.get("type") or ("message" if "role" in item else "absent")
        if kind == "message":
            self._message(item)
        elif kind == "reasoning":
            self._reasoning(item)
        elif kind == "function_call":
            self._call(item)
        elif kind == "function_call_output":
            self._result(item)
        else:
            raise Unusable(f"an item of type {kind} has no place in a chat")

    def _message(self, item: Json) -> None:
        role = item.get("role")
        if self._unanswered:
            raise Unusable("a call has no result before the conversation goes on")
        if role == "assistant":
            turn = self._open()
            if turn.content is not None:
                self.close()
                turn = self._open()
            turn.content = text_of(item.get("content"))
        elif isinstance(role, str) and role in ROLES:
            self.close()
            self.messages.append(Message(ROLES[role], text_of(item.get("content"))))
        else:
            raise Unusable(f"a message has the role {role!r}")

    def _reasoning(self, item: Json) -> None:
        """Encrypted reasoning and empty summaries say nothing and are left out."""
        parts = item.get("content") or item.get("summary") or []
        texts = (text_of([part]) for part in parts) if isinstance(parts, list) else [text_of(parts)]
        text = "\n".join(filter(None, texts))
        if text:
            turn = self._open()
            turn.reasoning = f"{turn.reasoning}\n{text}" if turn.reasoning else text

    def _call(self, item: Json) -> None:
        if self._turn is None and self._unanswered:
            raise Unusable("the model went on before a call had its result")
        name = item.get("name")
        if not isinstance(name, str) or not name:
            raise Unusable("a call has no name")
        call_id = _call_id(item)
        arguments = _arguments(name, item.get("arguments"))
        self._open().tool_calls.append(ToolCall(name, arguments, call_id))
        self._unanswered.append(call_id)

    def _result(self, item: Json) -> None:
        self.close()
        call_id = _call_id(item)
        if call_id not in self._unanswered:
            raise Unusable("a tool result answers no call")
        self._unanswered.remove(call_id)
        self.messages.append(Message("tool", text_of(item.get("output")), tool_call_id=call_id))

    def _open(self) -> Message:
        if self._turn is None:
            self._turn = Message("assistant", tool_calls=[])
        return self._turn


def text_of(content: Any) -> str:
    """The text of a string or of a list of text parts.

    Raises:
        Unusable: for images, audio and files, and for anything that is not content.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unusable(f"content is a {type(content).__name__}, not text")
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = str(part.get("type")) if isinstance(part, dict) else type(part).__name__
    text = part.get(TEXT_KEYS[kind]) if kind in TEXT_KEYS else None
    if not isinstance(text, str):
        raise Unusable(f"content of type {kind} is not text")
    return text


def last_snapshot(items: Sequence[Any]) -> Sequence[Any]:
    """The whole conversation, where each item is the conversation up to one step.

    Raises:
        Unusable: when a step is not the beginning of the next.
    """
    if not any(isinstance(item, list) for item in items):
        return items
    last: list[Any] = []
    for snapshot in items:
        if not isinstance(snapshot, list) or snapshot[: len(last)] != last:
            raise Unusable("the output is a list of lists that do not continue each other")
        last = snapshot
    return last


def chat_tools(tools: Any) -> list[Json] | None:
    """Flat Responses tools in chat format; None when there are none.

    Raises:
        Unusable: for hosted tools, which have no schema that a chat template could show.
    """
    if not tools:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Unusable("tools is not a list of objects")
    return [_chat_tool(tool) for tool in tools]


def _chat_tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        raise Unusable(f"a tool of type {tool.get('type')} has no schema to show to the model")
    if isinstance(tool.get("function"), dict):
        return tool
    fields = ("name", "description", "parameters", "strict")
    function = {key: tool[key] for key in fields if tool.get(key) is not None}
    return {"type": "function", "function": function}


def _call_id(item: Json) -> str | None:
    call_id = item.get("call_id")
    if call_id is not None and not isinstance(call_id, str):
        raise Unusable("a call_id is not text")
    return call_id


def _arguments(name: str, arguments: Any) -> Json:
    """Arguments as an object; an empty string is a call without arguments."""
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments) if arguments.strip() else {}
        except (msgspec.DecodeError, RecursionError):
            raise Unusable(f"the arguments of a call of {name} are not JSON") from None
    if not isinstance(arguments, dict):
        raise Unusable(f"the arguments of a call of {name} are not an object")
    return arguments
