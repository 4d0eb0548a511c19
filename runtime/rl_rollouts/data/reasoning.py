"""Reasoning, which records hold beside the text or inside it, between think tags.

Rewards read it too, so that only the standard library is needed.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import msgspec

Reasoning = Literal["keep", "tags", "drop"]
"""keep: beside the content, for templates that know `reasoning_content`; tags: in front of the
content, between think tags; drop: not at all."""
OPEN, CLOSE = "<think>", "</think>"
SLASH = ord("/")


def may_be_in(content: "msgspec.Raw") -> bool:
    """Whether content is worth a closer look: all texts of the model are asked this.

    Without the brackets and the slash, which some writers of JSON escape.
    """
    text = bytes(content)
    # Few texts have a slash. `in` would make and drop an exception for anything but one byte.
    return (SLASH in text and text.find(b"/think") >= 0) or text.find(b"think", 0, 64) >= 0


def split(text: str) -> tuple[str | None, str]:
    """Reasoning and the rest of a text; None when there is no reasoning in it.

    Some servers leave out the opening tag, because the prompt ended with it. A text that opens a
    thought and does not close it is all reasoning.
    """
    head, close, rest = text.partition(CLOSE)
    opened = head.lstrip().startswith(OPEN)
    if opened:
        head = head.lstrip().removeprefix(OPEN)
    if (opened or close) and OPEN not in head and CLOSE not in rest:
        return head.strip("\n"), rest.lstrip("\n")
    return None, text
