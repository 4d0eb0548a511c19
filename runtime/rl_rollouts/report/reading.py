"""Sample rollouts, written out as conversations."""

from collections.abc import Sequence

from ..survey.summary import Call, Excerpt, Said, Sample
from .markup import Html, element, joined
from .numbers import number
from .tables import Section, note, section

ROLES = {"system": "System", "user": "User", "assistant": "Model", "tool": "Tool result"}
FIRST_WORDS = 110
"""Characters of the first user message in the line that opens a sample."""
OPEN = 2
"""Samples that are unfolded from the start."""


def samples(found: Sequence[Sample]) -> Section | None:
    """A section with each sample to unfold."""
    if not found:
        return None
    words = (
        f"{len(found)} rollouts, drawn by hash from all agents, solved and not. Long texts are "
        "shortened."
    )
    opened = {id(sample) for sample in _shown_first(found)}
    return section(
        "samples",
        "Samples",
        note(words),
        (_sample(sample, id(sample) in opened) for sample in found),
    )


def _shown_first(found: Sequence[Sample]) -> list[Sample]:
    """The shortest solved one and the shortest unsolved one: they are read most easily."""
    by_length = sorted(found, key=lambda sample: len(sample.messages))
    both = [
        next((each for each in by_length if each.solved is side), None) for side in (True, False)
    ]
    return [each for each in both if each]


def _sample(sample: Sample, opened: bool) -> Html:
    head = element(
        "summary",
        _badge(sample),
        element("span", _first_words(sample), class_="words", dir="auto"),
        element("span", sample.agent or "", class_="agent"),
    )
    marks = [("task", sample.task), *((mark, "") for mark in sample.marks)]
    line = element("p", (_mark(*mark) for mark in marks), class_="about")
    said = (_said(message) for message in sample.messages)
    return element(
        "details", head, line, element("div", said, class_="chat"), class_="sample", open=opened
    )


def _badge(sample: Sample) -> Html:
    word = "solved" if sample.solved else "not solved"
    shown = joined(
        "reward ",
        element("b", "none" if sample.reward is None else number(sample.reward)),
        f" {word}",
    )
    return element("span", shown, class_=f"badge {'good' if sample.solved else 'never'}")


def _mark(name: str, value: str) -> Html:
    return element("span", f"{name} ", element("code", value) if value else None, class_="mark")


def _first_words(sample: Sample) -> str:
    asked = [said.text.head for said in sample.messages if said.role == "user"]
    words = " ".join((asked[0] if asked else sample.task).split())
    return words if len(words) <= FIRST_WORDS else f"{words[:FIRST_WORDS]}…"


def _said(message: Said) -> Html:
    skipped = None
    if message.skipped:
        skipped = element("p", f"{message.skipped:,} messages left out", class_="skipped")
    shown = element(
        "div",
        element("p", ROLES.get(message.role, message.role), class_="role"),
        _reasoning(message.reasoning),
        _text(message.text) if message.text.head else None,
        (_call(call) for call in message.calls),
        class_=f"said {message.role if message.role in ROLES else 'tool'}"
        + (" given" if message.given else ""),
    )
    return joined(skipped, shown)


def _reasoning(reasoning: Excerpt | None) -> Html | None:
    if reasoning is None:
        return None
    length = len(reasoning.head) + reasoning.left_out + len(reasoning.tail)
    head = element("summary", f"Reasoning, {length:,} characters")
    return element("details", head, _text(reasoning), class_="reasoning")


def _call(call: Call) -> Html:
    name = element("b", call.name)
    return element("div", "calls ", name, " ", _text(call.arguments), class_="call")


def _text(text: Excerpt) -> Html:
    gap = None
    if text.left_out:
        gap = element("span", f" {text.left_out:,} characters left out ", class_="gap")
    return element("div", text.head, gap, text.tail, class_="text", dir="auto")
