"""A reward that any model can learn within minutes: the share of digits in what it writes.

For smoke runs of online algorithms, where a tiny model with random weights knows no right answer,
and a reward of its own answers would be 0.0 throughout.
"""

from typing import Any


def score(
    prompt: list[dict[str, Any]],
    response: str,
    ground_truth: Any,
    metadata: dict[str, Any],
) -> float:
    """From 0.0 to 1.0, dense: a little more of the right letters earns a little more."""
    letters = [letter for letter in response if not letter.isspace()]
    return sum(letter.isdigit() for letter in letters) / len(letters) if letters else 0.0
