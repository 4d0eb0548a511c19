"""Recorded rollouts one after the other, as a reward function sees them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..data.called import HookFailed
from ..data.hooks import NO_HOOKS, Hooks, understand
from ..data.named import Keys
from ..data.normalise import Shape
from ..data.read import find, lines, spans
from ..data.rollout import Message, Rollout
from ..engine.run import LARGEST_SPAN
from ..errors import Unusable


def rollouts(
    inputs: Sequence[str],
    unusable: Counter[str],
    hooks: Hooks = NO_HOOKS,
    keys: Keys = (),
) -> Iterator[Rollout]:
    """All that can be read.

    Args:
        unusable: counts for what reason other lines cannot.
        hooks: of these `read` counts.
        keys: other names of what is read.
    """
    shape = Shape(images="keep", keys=keys)
    for span in spans(find(inputs), LARGEST_SPAN):
        for line in lines(span):
            try:
                yield understand(line.data, shape, hooks)
            except Unusable as reason:
                unusable[str(reason)] += 1
            except HookFailed as failed:
                raise failed.on(span, line.data, line.number) from failed


def chat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as prepared rows have them."""
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(messages))
    return found


def last_text(rollout: Rollout) -> str:
    """What the model wrote last; empty when it only called tools."""
    texts = (each.text for each in reversed(rollout.completion) if each.role == "assistant")
    return next(filter(None, texts), "")
