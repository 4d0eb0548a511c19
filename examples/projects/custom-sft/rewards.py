"""The reward of one response. Edit this file; everything that scores calls `score`."""

import re
from typing import Any

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def score(
    prompt: list[dict[str, Any]],
    response: str,
    ground_truth: Any,
    metadata: dict[str, Any],
) -> float:
    """How good a response is.

    Args:
        prompt: chat messages that the model was given.
        response: text that it wrote last.
        ground_truth: what the environment expected, None when the rollouts do not say.
        metadata: whatever else the rollout recorded.

    Returns:
        1.0 when the last number, or else the whole text, equals the ground truth; 0.0 otherwise.
    """
    if ground_truth is None:
        return 0.0
    expected = str(ground_truth).strip()
    if _number(expected) is not None:
        return float(_number(response) == _number(expected))
    return float(response.strip().casefold() == expected.casefold())


def _number(text: str) -> float | None:
    """The last number in a text, None when there is none."""
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
