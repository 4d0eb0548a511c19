"""A record in NeMo Gym's usual form, straight to its messages; most records are in it.

All that may be said of a conversation is said in `conversation.py`. What stands here is the same
for turns of reasoning, one text and calls, without a step to other functions, which costs more than
the work. Whatever is unusual, right or wrong, is left to the other.
"""

from typing import Any

import msgspec

from ..errors import Unusable
from .chats import begins_like_messages
from .content import EMPTY, NOTHING, QUOTED, first_byte, text_of
from .conversation import ROLES, call_of
from .items import Plain, Written
from .reasoning import may_be_in
from .record import Record, Request, Response
from .rollout import ABSENT, Message, ToolCall, raw


def straight(record: Record) -> tuple[list[Message], list[Message]] | None:
    """Prompt and completion; None where anything is unusual."""
    request, response = record.responses_create_params, record.response
    if not isinstance(request, Request) or not isinstance(response, Response):
        return None
    if record.turn_rewards is not None or request.instructions not in NOTHING:
        return None
    prompt = prompt_of(request.input)
    if not prompt:
        return None
    completion = completion_of(response.output)
    return None if completion is None else (prompt, completion)


def prompt_of(items: Any) -> list[Message] | None:  # noqa: PLR0911
    """Messages of a request that are plain text, none of them the model's."""
    if type(items) is str:
        return None if begins_like_messages(items) else [Message("user", raw(items))]
    if type(items) is not list:
        return None
    messages = []
    for item in items:
        if type(item) is not Plain:
            return None
        role, content = item.role, item.content
        if (item.type != "message" and item.type is not None) or type(role) is not str:
            return None
        if role not in ROLES:
            return None
        if not content or first_byte(content) != QUOTED:
            try:
                content = text_of(content)
            except (Unusable, UnicodeDecodeError, RecursionError):
                return None
        messages.append(Message(ROLES[role], content))
    return messages


def completion_of(items: Any) -> list[Message] | None:  # noqa: PLR0911, PLR0912
    """What the model wrote and its tools returned, from the model's first turn on."""
    if type(items) is not list:
        return None
    messages: list[Message] = []
    unanswered: list[Any] = []
    calls: list[ToolCall] = []
    thought, text, opened, says = ABSENT, EMPTY, False, False
    for item in items:
        if type(item) is not Written:
            return None
        kind = item.type
        if kind == "reasoning":
            parts = item.content or item.summary
            if not parts:
                continue
            written = parts[0].text
            if len(parts) > 1 or thought is not ABSENT or first_byte(written) != QUOTED:
                return None
            if len(written) > len(EMPTY):
                thought, opened = written, True
        elif kind == "message":
            parts = item.content
            if item.role != "assistant" or not parts or len(parts) > 1:
                return None
            if parts[0].type == "reasoning_text":
                return None
            written = parts[0].text
            if unanswered or text is not EMPTY or first_byte(written) != QUOTED:
                return None
            if len(written) > len(EMPTY):
                text = written
            opened = True
        elif kind == "function_call":
            if unanswered and not calls:
                return None
            try:
                calls.append(call_of(item))
            except Unusable:
                return None
            unanswered.append(item.call_id)
            opened = True
        elif kind == "function_call_output":
            if opened:
                if not _is_whole(thought, text, calls) or _ends_with_model(messages):
                    return None
                messages.append(Message("assistant", text, thought, calls))
                thought, text, calls, opened, says = ABSENT, EMPTY, [], False, True
            call_id, output = item.call_id, item.output
            if call_id not in unanswered or not output or first_byte(output) != QUOTED:
                return None
            unanswered.remove(call_id)
            messages.append(Message("tool", output, ABSENT, [], call_id))
        else:
            return None
    if opened:
        if not _is_whole(thought, text, calls) or _ends_with_model(messages):
            return None
        messages.append(Message("assistant", text, thought, calls))
        says = says or bool(calls) or text is not EMPTY
    return messages if says else None


def _is_whole(thought: msgspec.Raw, text: msgspec.Raw, calls: list[ToolCall]) -> bool:
    """Whether a turn of the model says all that it thought, in its place."""
    if thought is ABSENT:
        return text is EMPTY or not may_be_in(text)
    return text is not EMPTY or bool(calls)


def _ends_with_model(messages: list[Message]) -> bool:
    return bool(messages) and messages[-1].role == "assistant"
