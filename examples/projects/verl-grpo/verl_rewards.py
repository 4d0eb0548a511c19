"""`rewards.py` as verl calls it: it loads this file by its path, in processes of Ray."""

import sys
from pathlib import Path
from typing import Any

PROJECT = str(Path(__file__).resolve().parent)
if PROJECT in sys.path:
    sys.path.remove(PROJECT)
sys.path.insert(0, PROJECT)  # verl brings a package called `tests` of its own.

from rl_rollouts.frameworks.verl import reward_arguments  # noqa: E402
from rl_rollouts.rewards.checked import answer_of, load_score, reward_of  # noqa: E402


def compute_score(
    data_source: str,  # noqa: ARG001 (verl gives it by name)
    solution_str: str,
    ground_truth: Any,  # noqa: ARG001 (the same)
    extra_info: dict[str, Any] | None = None,
    rewards: str = "rewards:score",
    **_: Any,
) -> dict[str, float]:
    """What one response is worth.

    Args:
        data_source: where the prompt is from; verl reports validation for each.
        solution_str: the response, without special tokens.
        ground_truth: as text; `extra_info` has it as it was recorded.
        extra_info: of the row, see `rl_rollouts.frameworks.verl`.
        rewards: module and function, from reward.custom_reward_function.reward_kwargs.

    Returns:
        `score`, which is optimised, and `acc`, by which DAPO chooses prompts.

    Raises:
        UserError: when the reward function raises, or gives no finite number.
    """
    given = reward_arguments(extra_info or {})
    score = reward_of(
        given["prompt"],
        answer_of(solution_str),
        given["ground_truth"],
        given["metadata"] or {},
        load_score(rewards),
    )
    return {"score": score, "acc": score}
