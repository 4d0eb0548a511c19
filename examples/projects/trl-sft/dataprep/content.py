"""Content of messages: text is passed through as JSON text, everything else is looked at."""

from typing import Any

import msgspec

from .errors import Damaged, SetAside
from .rollout import Json, raw

QUOTE = ord('"')
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
PLAIN = {kind for kind, key in TEXT_KEYS.items() if key == "text"}
IMAGES = {"input_image", "image_url", "image"}


class Part(msgspec.Struct, gc=False):
    """A part of content, its text not decoded."""

    type: str | None = None
    text: msgspec.Raw = msgspec.Raw(b"")


_parts = msgspec.json.Decoder(list[Part]).decode


def is_text(content: msgspec.Raw) -> bool:
    """Whether content is a JSON string."""
    return len(content) > 1 and memoryview(content)[0] == QUOTE


def text_of(content: msgspec.Raw, between: str = "") -> msgspec.Raw:
    """JSON text of one string, of a string or of a list of text parts.

    Args:
        between: what stands between the texts of two parts.

    Raises:
        SetAside: for images, audio and files.
        Damaged: for anything that is not content.
    """
    if len(content) > len(b"null") and memoryview(content)[0] == QUOTE:
        return content
    if content in NOTHING:
        return EMPTY
    if is_text(content):
        return content
    try:
        parts = _parts(content)
    except msgspec.ValidationError:
        parts = []
    if len(parts) == 1 and parts[0].type in PLAIN and is_text(parts[0].text):
        return parts[0].text
    return raw(joined(msgspec.json.decode(content), between))


def joined(content: Any, between: str) -> str:
    """The text of decoded content."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise Damaged(f"content is a {type(content).__name__}, not text")
    return between.join(filter(None, map(_text_of_part, content)))


def with_images(content: msgspec.Raw) -> msgspec.Raw:
    """Text as it is; where there are images, text and image_url parts as in OpenAI's chat API."""
    if content in NOTHING or is_text(content):
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
        raise SetAside("content of type image is not text (--images keep keeps references)")
    text = part.get(TEXT_KEYS[kind]) if kind in TEXT_KEYS else None
    if not isinstance(text, str):
        raise SetAside(f"content of type {kind} is not text")
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
