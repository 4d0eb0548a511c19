"""Content of messages: text is passed through as JSON text, everything else is looked at."""

from struct import Struct
from typing import Any

import msgspec

from ..errors import Damaged, SetAside
from .items import Part
from .rollout import ABSENT, Json, raw

QUOTE, NULL_BEGINS = b'"n'
QUOTED = (QUOTE,)
"""What `first_byte` gives of a JSON string."""
EMPTY = msgspec.Raw(b'""')
NOTHING = (msgspec.Raw(b""), msgspec.Raw(b"null"), EMPTY)
TEXT_KEYS = {
    "output_text": "text",
    "input_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
IMAGES = {"input_image", "image_url", "image"}
NO_IMAGES = "content of type image is not text (--images keep keeps references)"


Content = msgspec.Raw | list[Part] | None
"""As JSON text, or decoded as far as its parts."""
first_byte = Struct("B").unpack_from
"""Costs half of what a memoryview does, and every text is asked."""
_parts = msgspec.json.Decoder(list[Part]).decode


def is_text(content: msgspec.Raw) -> bool:
    """Whether content is a JSON string."""
    return len(content) > 1 and memoryview(content)[0] == QUOTE


def text_of(content: Content, between: str = "") -> msgspec.Raw:
    """JSON text of one string, of a string or of a list of text parts.

    Args:
        between: what stands between the texts of two parts.

    Raises:
        SetAside: for images, audio and files.
        Damaged: for anything that is not content.
    """
    if not content:
        return EMPTY
    if isinstance(content, list):
        parts, content = content, ABSENT
    else:
        (begins,) = first_byte(content)
        if begins == QUOTE:
            return content
        if begins == NULL_BEGINS:
            return EMPTY
        parts = _plain_parts(content)
    if len(parts) == 1:
        text = parts[0].text
        (begins,) = first_byte(text)
        if begins == QUOTE:
            return text
    return raw(joined(msgspec.json.decode(content or raw(parts)), between))


def _plain_parts(content: msgspec.Raw) -> list[Part]:
    """The parts of content, none when it is anything but text."""
    try:
        return _parts(content)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return []


def joined(content: Any, between: str) -> str:
    """The text of decoded content."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise Damaged(f"content is a {type(content).__name__}, not text")
    return between.join(filter(None, map(_text_of_part, content)))


def plain(value: Any, words: str) -> Any:
    """A decoded value that may be JSON text, as some writers keep what is nested; no text is null.

    Raises:
        Damaged: for any other text; the words name the value, with a verb.
    """
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value) if value.strip() else None
    except (msgspec.DecodeError, RecursionError):
        raise Damaged(f"{words} text that is not JSON") from None


def with_images(content: Content) -> msgspec.Raw:
    """Text as it is; where there are images, text and image_url parts as in OpenAI's chat API."""
    if content is None or isinstance(content, list) or content in NOTHING or is_text(content):
        return text_of(content)
    parts = msgspec.json.decode(content)
    if not isinstance(parts, list) or not any(map(_is_image, parts)):
        return text_of(content)
    return raw([_reference(part) for part in parts])


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise Damaged(f"a part of content is a {type(part).__name__}, not text")
    kind = str(part.get("type"))
    if kind in IMAGES:
        raise SetAside(NO_IMAGES)
    if kind not in TEXT_KEYS and (part.get("type") is not None or "text" not in part):
        raise SetAside(f"content of type {kind} is not text")
    key = TEXT_KEYS.get(kind, "text")
    text = part.get(key)
    if not isinstance(text, str):
        raise SetAside(f"a part of content has no text under `{key}`")
    return text


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("type")) in IMAGES


def _reference(part: Any) -> Json:
    """A part of the chat API: a Responses part names its image directly."""
    if not _is_image(part):
        return {"type": "text", "text": _text_of_part(part)}
    image = part.get("image_url") or part.get("image") or part.get("url")
    address = image.get("url") if isinstance(image, dict) else image
    if not isinstance(address, str):
        raise SetAside("an image has no address")
    return {"type": "image_url", "image_url": {"url": address}}
