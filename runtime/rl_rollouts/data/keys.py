"""Keys of a record that nothing here reads, and which of them look as if they decided about what is
learned."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .fate import EMPTY
from .items import Item, Part
from .record import Record, values_of

CONVERSATIONS = {
    "responses_create_params": "input", "response": "output", "messages": "", "prompt": "",
    "completion": "", "conversations": "", "chosen": "", "rejected": "",
}  # fmt: skip
"""Keys under which messages stand, and where in their value."""
NEUTRAL = {
    "id", "status", "annotations", "logprobs", "refusal", "audio", "timestamp", "created", "model",
    "from", "value", "text", "encrypted_content", "namespace", "phase", "tool_name",
}  # fmt: skip
"""Keys of messages that say nothing about what is learned."""
_decisive = re.compile(
    r"(^|_|(?<=[a-z])(?=[A-Z]))("
    r"masks?|masked|weights?|train(able|ed|ing)?|learn(able|ed)?|loss|ignored?|skip(ped)?|"
    r"exclu(de|ded|sion)|discard(ed)?|drop(ped)?|is_?valid|invalid|truncated?|truncation|"
    r"incomplete|fail(ed|ure)?|errors?|abort(ed)?|timed_?out|timeout|bad|filtered|do_not_train"
    r")($|_|(?<=[a-z])(?=[A-Z]))",
    re.IGNORECASE,
).search


def _known(*structs: Any) -> set[str]:
    return {field.encode_name for each in structs for field in msgspec.structs.fields(each)}


OF_RECORDS = _known(Record)
OF_MESSAGES = _known(Item, Part) | NEUTRAL
_messages = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_inner = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def unread(line: bytes) -> Iterator[tuple[str, bool]]:
    """Names of keys, those of messages after a dot, and whether each looks decisive here: what is
    empty or false decides nothing.

    Args:
        line: one that `parse` accepts.
    """
    values = values_of(line)
    for key, value in values.items():
        if key not in OF_RECORDS and not key.startswith("_ng_"):
            yield key, _is_decisive(key, value)
    found: dict[str, bool] = {}
    for key in values.keys() & CONVERSATIONS.keys():
        for message in _messages_of(values[key], CONVERSATIONS[key]):
            for name, value in message.items():
                if name not in OF_MESSAGES:
                    found[name] = found.get(name, False) or _is_decisive(name, value)
    yield from ((f"messages.{name}", decisive) for name, decisive in found.items())


def _is_decisive(key: str, value: msgspec.Raw) -> bool:
    return value not in EMPTY and _decisive(key) is not None


def _messages_of(value: msgspec.Raw, inside: str) -> list[dict[str, msgspec.Raw]]:
    try:
        return _messages(_inner(value)[inside] if inside else value)
    except (msgspec.DecodeError, KeyError, RecursionError):
        return []
