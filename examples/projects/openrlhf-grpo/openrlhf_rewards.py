"""`rewards.py` as OpenRLHF calls it: each of its engines loads this file by its path.

OpenRLHF catches every exception of a reward, logs it where nobody looks, and trains on nothing.
What is raised here is none of those that it catches, so that the run ends, with the reason.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

PROJECT = str(Path(__file__).resolve().parent)
if PROJECT in sys.path:
    sys.path.remove(PROJECT)
sys.path.insert(0, PROJECT)  # OpenRLHF brings a package called `tests` of its own.

from rl_rollouts.errors import UserError  # noqa: E402
from rl_rollouts.frameworks.openrlhf import reward_arguments  # noqa: E402
from rl_rollouts.rewards.checked import answer_of, load_score, reward_of  # noqa: E402


class RewardFailed(BaseException):
    """A response cannot be scored, and the run must not go on as if it were worth nothing."""


def fail(error: Exception) -> NoReturn:
    """End the run with a reason, which also stands in the log of this process."""
    remedy = getattr(error, "remedy", "")
    said = f"{getattr(error, 'problem', f'{type(error).__name__}: {error}')} {remedy}".strip()
    print(f"error: the reward failed: {said}", file=sys.stderr, flush=True)
    raise RewardFailed(said) from error


def worth(text: str, label: str) -> float:
    """What one response is worth, by the label of its row.

    Args:
        text: what the model wrote last, with the special tokens after it.

    Raises:
        UserError: when the reward function raises, or gives no finite number.
    """
    given = reward_arguments(label)
    about = json.loads(label)
    score = load_score(about.get("rewards") or "rewards:score")
    facts = (given["ground_truth"], given["metadata"] or {})
    return reward_of(given["prompt"], answer_of(without(text, about)), *facts, score)


def without(text: str, about: dict[str, Any]) -> str:
    """A response without what ends it."""
    ends = [each for each in about.get("end") or () if each]
    text = text.rstrip("\n")
    while end := next((each for each in ends if text.endswith(each)), None):
        text = text.removesuffix(end).rstrip("\n")
    return text


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
) -> dict[str, Any]:
    """The rewards of some responses.

    Args:
        queries: prompt and response as one text, with special tokens.
        prompts: the prompts alone.
        labels: of the rows, see `openrlhf_data.written`.

    Returns:
        `rewards`, which are optimised, and `scores`, by which dynamic filtering chooses prompts.
    """
    import torch

    try:
        found = [
            worth(_response(*texts), label)
            for *texts, label in zip(queries, prompts, labels, strict=True)
        ]
    except Exception as error:
        fail(error)
    rewards = torch.tensor(found, dtype=torch.float32)
    return {"rewards": rewards, "scores": rewards, "extra_logs": {}}


def _response(query: str, prompt: str) -> str:
    if not query.startswith(prompt):
        raise UserError(
            "The tokenizer does not give a prompt back as it was, so that a response cannot be "
            f"told from it: {prompt[:80]!r}",
            "Score through openrlhf_agent.py: train.agent_func_path: openrlhf_agent.py.",
        )
    return query[len(prompt) :]
