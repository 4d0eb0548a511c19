"""Recorded rollouts one after the other, as a reward function sees them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from .errors import Unusable
from .normalise import Shape, normalise
from .read import find, lines, spans
from .rollout import Message, Rollout
from .run import LARGEST_SPAN


def rollouts(inputs: Sequence[str], unusable: Counter[str]) -> Iterator[Rollout]:
    """All that can be read.

    Args:
        unusable: counts for what reason other lines cannot.
    """
    for span in spans(find(inputs), LARGEST_SPAN):
        for line in lines(span):
            try:
                yield normalise(line.data, Shape(images="keep"))
            except Unusable as reason:
                unusable[str(reason)] += 1


def chat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as prepared rows have them."""
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(messages))
    return found


def last_text(rollout: Rollout) -> str:
    """What the model wrote last; empty when it only called tools."""
    texts = (each.text for each in reversed(rollout.completion) if each.role == "assistant")
    return next(filter(None, texts), "")
