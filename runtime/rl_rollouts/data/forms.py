"""The forms in which rollouts and prompts are kept, told apart by their keys.

    responses_create_params, response      NeMo Gym's rollouts; without a response its task rows
    messages                               OpenAI's chats
    prompt, completion or response         verifiers' results; without the second a prompt
    conversations                          ShareGPT: from, value
    chosen, rejected                       preferences: texts, messages, HH-RLHF's transcripts
    instruction, input, output             Alpaca's instructions
    question, answer                       prompts and what is right

The first two are read as they are; the others become one of these.
"""

import re
from typing import Any

import msgspec

from ..errors import Damaged
from .chats import written
from .content import NOTHING, is_text, plain, text_of
from .items import Item
from .record import Items, Record, Request, Response
from .rollout import NULL, raw

PEOPLE = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "model": "assistant", "system": "system",
    "tool": "tool", "observation": "tool", "function_response": "tool",
    "function_call": "call", "tool_call": "call",
}  # fmt: skip
"""Who speaks in ShareGPT's form."""
TURNS = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")
"""In HH-RLHF's transcripts."""
SHOWN = 12
"""Keys that are named of a record in no known form."""


def settle_form(record: Record, keys: Any) -> None:
    """Bring a record that is no rollout of NeMo Gym into a form that is read as it is.

    Args:
        keys: gives the names of all its keys, for those in no form that is known.

    Raises:
        Damaged: for those, and for what is not what its keys promise.
    """
    if isinstance(record.responses_create_params, str):
        _read_json_texts(record, record.responses_create_params)
    elif record.conversations not in NOTHING:
        record.messages = _of_people(plain(msgspec.json.decode(record.conversations), "it is"))
    elif record.chosen is not None or record.rejected is not None:
        _read_preference(record)
    elif record.messages is None and record.prompt is None:
        _read_question(record, keys)
    _read_system(record)


def is_input(record: Record) -> bool:
    """Whether nothing came back: there is a prompt, and no more."""
    if isinstance(record.responses_create_params, Request):
        return record.response is None
    if record.messages is not None or record.chosen is not None:
        return False
    return record.completion is None and record.response is None


def answer_of(record: Record) -> msgspec.Raw:
    """What is right, where `answer` stands beside a prompt: what the model said is elsewhere."""
    asked = record.prompt is not None and record.messages is None
    return record.answer if asked and record.answer else NULL


def _read_json_texts(record: Record, request: str) -> None:
    """A rollout of NeMo Gym of which parts are JSON text."""
    try:
        record.responses_create_params = msgspec.json.decode(request, type=Request)
        if isinstance(record.response, str):
            record.response = msgspec.json.decode(record.response, type=Response)
    except (msgspec.DecodeError, RecursionError):
        raise Damaged("responses_create_params is text, and not that of a rollout") from None


def _of_people(turns: Any) -> list[Any]:
    """ShareGPT's turns as chat messages."""
    if not isinstance(turns, list):
        raise Damaged("conversations is not a list")
    found = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise Damaged(f"a message is a {type(turn).__name__}, not an object")
        others = {key: value for key, value in turn.items() if key not in {"from", "value"}}
        speaker = turn.get("from", turn.get("role"))
        role, content = PEOPLE.get(str(speaker).lower()), turn.get("value", turn.get("content"))
        if role is None:
            raise Damaged(f"a message is from nobody that is known: {speaker!r:.40}")
        if role == "call":
            others["tool_calls"], content, role = _calls(content), None, "assistant"
        found.append({**others, "role": role, "content": content})
    return msgspec.json.decode(msgspec.json.encode(found), type=list[Item])


def _calls(content: Any) -> list[Any]:
    calls = plain(content, "a call is")
    return calls if isinstance(calls, list) else [calls]


def _read_preference(record: Record) -> None:
    """A pair: each side becomes the whole conversation, or goes on from the prompt."""
    sides = []
    for name in ("chosen", "rejected"):
        value: Items = getattr(record, name)
        if isinstance(value, str):
            value = _said(value)
        if not isinstance(value, list) or not value:
            raise Damaged(f"{name} is neither text nor messages")
        sides.append(value)
    given = [] if record.prompt is None else _messages(record.prompt, "user")
    if not given and _begins_with_model(sides[0]):
        raise Damaged("a chosen and a rejected answer without a prompt")
    record.chosen, record.rejected = (
        [*given, *side] if _begins_with_model(side) else side for side in sides
    )


def _said(text: str) -> list[Any]:
    """One side of a pair that is text: messages in it, a transcript, or an answer."""
    return written(text) or _transcript(text) or [Item(role="assistant", content=raw(text))]


def _begins_with_model(messages: list[Any]) -> bool:
    return isinstance(messages[0], Item) and messages[0].role == "assistant"


def _messages(value: Items, role: str) -> list[Any]:
    if isinstance(value, str):
        return list[Any](written(value) or ()) or [Item(role=role, content=raw(value))]
    return value if isinstance(value, list) else [value]


def _transcript(text: str) -> list[Item] | None:
    """The turns of a transcript as HH-RLHF has them."""
    _, *pieces = TURNS.split(text)
    turns = list(zip(pieces[::2], pieces[1::2], strict=True))
    if len(turns) < 2 or not TURNS.match(text):
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    return [Item(role=roles[name], content=raw(said.strip())) for name, said in turns]


def _read_question(record: Record, keys: Any) -> None:
    """A question or an instruction, and what answers it."""
    if is_text(record.instruction) and is_text(record.output):
        parts = [_text(record.instruction), _text(record.input)]
        record.prompt = "\n\n".join(filter(None, parts))
        record.completion = _text(record.output)
    elif is_text(record.question):
        record.prompt = _text(record.question)
    else:
        raise Damaged(
            f"it is in no form that is known: its keys are {', '.join(list(keys())[:SHOWN])}"
        )


def _text(value: msgspec.Raw) -> str:
    return msgspec.json.decode(value, type=str) if is_text(value) else ""


def _read_system(record: Record) -> None:
    """A system prompt beside the conversation comes first in it."""
    content = record.system or record.system_prompt
    if content in NOTHING or bytes(content)[:1] not in (b'"', b"["):
        return  # of the machine, or of a prompt that stands elsewhere by a number
    first = Item(role="system", content=text_of(content))
    for name in ("messages", "chosen", "rejected", "prompt"):
        value = getattr(record, name)
        if value is None or (name == "prompt" and record.chosen is not None):
            continue
        messages = _messages(value, "user")
        if messages and isinstance(messages[0], Item) and messages[0].role == "system":
            if text_of(messages[0].content) != first.content:
                raise Damaged("two system prompts, beside the conversation and in it")
            continue
        setattr(record, name, [first, *messages])
