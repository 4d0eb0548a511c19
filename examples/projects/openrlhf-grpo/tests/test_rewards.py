"""What rewards.py gives; change it together with the rewards."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rl_rollouts.errors import UserError
from rl_rollouts.rewards.checked import load_score, reward_of

PROJECT = Path(__file__).resolve().parents[1]
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
    assert reward_of(PROMPT, response, ground_truth, {}) == reward


@pytest.mark.parametrize("returned", [None, "1", float("nan")])
def test_what_is_no_reward_is_refused(returned: Any) -> None:
    with pytest.raises(UserError, match="3 apples"):
        reward_of(PROMPT, "12", "12", {}, lambda *_: returned)


def test_the_reward_of_smoke_runs_is_dense() -> None:
    toy = load_score("rl_rollouts.smoke.toy")
    assert [reward_of(PROMPT, text, None, {}, toy) for text in ("", "ab", "a1", "12")] == [
        *(0.0, 0.0, 0.5, 1.0)
    ]


def test_it_gives_the_rewards_of_the_sample() -> None:
    words = ["-m", "rl_rollouts.rewards.check", "--input", "tests/sample_rollouts.jsonl"]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "100%  agree with the recorded reward" in done.stdout
