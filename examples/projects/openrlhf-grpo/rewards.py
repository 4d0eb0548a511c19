"""The reward of one response. Edit this file; everything that scores calls `score`.

`ready` has rewards to choose from, all with the same arguments:

    number_or_text    the last number, or else the whole text, is that of the ground truth
    exact_match       the whole text is the ground truth
    number_match      the last number is that of the ground truth; tolerance=0.01
    pattern_match     a regular expression; pattern=r"answer is (.+)"
    json_match        JSON of the same content, also in a fenced block
    math_match        the same mathematics; needs `pip install -e '.[math]'`
    nemo_gym          the `/verify` of a NeMo Gym server; url="http://localhost:8000"

`make rewards` tries this file on recorded rollouts and says how well it gives their rewards.
"""

from typing import Any

from rl_rollouts.rewards import ready


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
        A finite number; 1.0 for solved and 0.0 for not, unless you want something between.
    """
    return ready.number_or_text(prompt, response, ground_truth, metadata)
