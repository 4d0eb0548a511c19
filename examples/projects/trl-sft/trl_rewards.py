"""`rewards.py` and environments in the form that TRL calls."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from rl_rollouts.errors import UserError
from rl_rollouts.rewards.checked import Score, answer_of, reward_of

Reward = Callable[..., list[float]]


def reward_function(score: Score) -> Reward:
    """A reward function for GRPOTrainer and RLOOTrainer.

    TRL calls it with `prompts` and `completions`, one entry a response, and with every other column
    of the rows as a list of the same length.
    """

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        ground_truth: Sequence[Any],
        metadata: Sequence[Any],
        **_: Any,
    ) -> list[float]:
        rows = zip(prompts, completions, ground_truth, metadata, strict=True)
        return [
            reward_of(prompt, last_text(completion), truth, about or {}, score)
            for prompt, completion, truth, about in rows
        ]

    reward.__name__ = getattr(score, "__name__", "reward")
    return reward


def last_text(completion: Any) -> str:
    """What the model wrote last: its text, without reasoning, calls and tool results."""
    if isinstance(completion, str):
        return answer_of(completion)
    written = [message for message in completion if message.get("role") == "assistant"]
    content = written[-1].get("content") if written else None
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    return answer_of(content or "")


def load_environment(name: str) -> Any:
    """The class of `module:class`, whose public methods are the tools."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"There is no environment {name!r}: {error}.",
            "Give `module:class`, see environment.py.",
        ) from None


def shown_tools(name: str | None) -> list[dict[str, Any]] | None:
    """The schemas of an environment's tools, as TRL makes them of its public methods."""
    if name is None:
        return None
    from transformers.utils import get_json_schema

    made = load_environment(name)
    own = {"reset", "get_reward"}
    names = [each for each, _ in inspect.getmembers(made, inspect.isfunction) if each not in own]
    visit = object.__new__(made)
    try:
        tools = [get_json_schema(getattr(visit, each)) for each in names if each[0] != "_"]
    except (ValueError, TypeError) as error:
        raise UserError(
            f"A tool of {name} has no schema: {error}",
            "Give its methods types and docstrings, as those of environment.py have them.",
        ) from None
    return tools or None
