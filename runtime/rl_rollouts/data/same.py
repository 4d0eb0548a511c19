"""When rollouts, prompts and messages are the same: one definition for all who compare them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import xxhash

from .rollout import Message, Rollout

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def hash_of(text: str | bytes | msgspec.Raw, seed: int = 0) -> int:
    """64 bits."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return xxhash.xxh3_64_intdigest(data, seed)


def same_text(value: Any) -> bytes:
    """JSON text by which values are compared: writers differ in what they escape."""
    text = _encode(value)
    escaped = text.find(b"\\u") >= 0 or text.find(b"\\/") >= 0
    return _encode(_decode(text)) if escaped else text


def hash_of_same(value: Any) -> int:
    """64 bits, by which values are the same. Looking for escapes costs more than all else, and the
    prompt of a task comes with each of its rollouts."""
    text = _encode(value)
    digest = xxhash.xxh3_128_digest(text)
    found = _hashes.get(digest)
    if found is None:
        if len(_hashes) >= MOST_HASHES:
            _hashes.clear()
        found = _hashes[digest] = hash_of(same_text(value))
    return found


def prompt_hash(rollout: Rollout) -> int:
    """64 bits of what the prompt of a rollout says."""
    known = rollout.prompt_hash
    return hash_of_same(rollout.prompt) if known is None else known


_hashes: dict[bytes, int] = {}
MOST_HASHES = 2**12


def said(messages: Sequence[Message]) -> bytes:
    """What messages say, whatever the ids of their calls."""
    return same_text([_said(message) for message in messages])


def _said(message: Message) -> tuple[Any, ...]:
    calls = [call.function for call in message.tool_calls]
    return message.role, message.content, message.reasoning or None, calls


def conversation(rollout: Rollout) -> bytes:
    """Everything that was shown and said in a rollout, by which copies are known."""
    return said(rollout.prompt) + said(rollout.completion) + bytes(rollout.tools)


def normalised(text: bytes) -> bytes:
    """Without case, and with one blank for any white space, also where JSON escapes it."""
    for escape in (rb"\n", rb"\t", rb"\r"):
        text = text.replace(escape, b" ")
    return b" ".join(text.decode().casefold().encode().split())
