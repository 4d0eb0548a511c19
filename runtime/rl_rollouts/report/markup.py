"""HTML that cannot be broken by what it shows."""

import re
from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta", "wbr"})
"""Elements without an end tag."""
NOT_SHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters and halves of surrogate pairs, which HTML does not allow."""


class Html(str):
    """Text that is HTML already. All other text is escaped where it goes into a page."""

    __slots__ = ()


Child = str | Iterable[str] | None
Attribute = str | float | bool | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. Attributes of None or False are left out; `class_` is class, `_` is a hyphen."""
    start = f"<{name}{''.join(map(_attribute, attributes.items()))}>"
    return Html(start if name in VOID else f"{start}{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join(map(_escaped, children)))


def breakable(name: str) -> Html:
    """A name that may be broken after its underscores, hyphens and slashes."""
    parts = re.split(r"(?<=[_/-])", name)
    return Html(element("wbr").join(map(_escaped, parts)))


def _escaped(child: Child) -> str:
    if child is None or isinstance(child, Html):
        return child or ""
    if isinstance(child, str):
        return escape(NOT_SHOWN.sub("\N{REPLACEMENT CHARACTER}", child))
    return "".join(map(_escaped, child))


def _attribute(attribute: tuple[str, Attribute]) -> str:
    name, value = attribute
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'
