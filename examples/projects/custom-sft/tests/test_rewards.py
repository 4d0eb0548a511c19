"""What rewards.py gives; change it together with the rewards."""

from typing import Any

import pytest

from rewards import score

PROMPT = [{"role": "user", "content": "What do 3 apples at 4 coins cost?"}]


@pytest.mark.parametrize(
    ("response", "ground_truth", "reward"),
    [
        ("You pay 12 coins.", "12", 1.0),
        ("3 times 4 is 12", 12, 1.0),
        ("1,200", "1200", 1.0),
        ("You pay 13 coins.", "12", 0.0),
        ("I do not know.", "12", 0.0),
        ("Yes", "yes", 1.0),
        ("No", "yes", 0.0),
        ("anything", None, 0.0),
    ],
)
def test_score(response: str, ground_truth: Any, reward: float) -> None:
    assert score(PROMPT, response, ground_truth, {}) == reward
