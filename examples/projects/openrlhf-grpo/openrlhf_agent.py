"""Responses over several turns: the model calls tools of an environment, and is scored at the end.

    environment: environment:Shop        # in openrlhf_config.yaml

OpenRLHF's engines load this file by its path. An answer without a call ends the conversation; what
it is worth says the environment's `get_reward`, or else rewards.py. With no environment it is one
answer, of which the reward is that of rewards.py.
"""

import json
import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

PROJECT = str(Path(__file__).resolve().parent)
if PROJECT in sys.path:
    sys.path.remove(PROJECT)
sys.path.insert(0, PROJECT)

import torch  # noqa: E402
from openrlhf.utils.agent import AgentInstanceBase, MultiTurnAgentExecutor  # noqa: E402

from openrlhf_rewards import fail, worth  # noqa: E402
from rl_rollouts.errors import UserError  # noqa: E402
from rl_rollouts.rewards.environments import called, load_environment, results  # noqa: E402

CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
"""How models of Qwen's and Hermes' kind write a call."""
MOST_TURNS = 16
"""Answers with calls; the one after them ends the conversation whatever it holds."""


class Visit(AgentInstanceBase):  # type: ignore[misc]
    """One response, with an environment of its own."""

    tokenizer: Any = None
    """That of the model; the executor sets it."""

    def __init__(self) -> None:
        self.turns = 0

    async def reset(self, states: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Begin with a row: the environment gets task, prompt, ground_truth and metadata."""
        try:
            self.row = json.loads(states["label"])
            name = self.row.get("environment")
            self.environment = load_environment(name)() if name else None
            begin = getattr(self.environment, "reset", None)
            names = ("task", "prompt", "ground_truth", "metadata")
            if begin is not None and (more := begin(**{each: self.row[each] for each in names})):
                raise UserError(
                    f"reset of {name} returns {str(more)[:80]!r}; the prompt is written already.",
                    "Return None, and put it into the prompts when preparing (`change`).",
                )
        except Exception as error:
            fail(error)
        return {"observation": states["observation"]}

    async def step(self, states: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Run the calls of an answer, or score it."""
        try:
            return self._step(states["action_text"], states["label"])
        except Exception as error:
            fail(error)

    def _step(self, text: str, label: str) -> dict[str, Any]:
        self.turns += 1
        calls = CALL.findall(text) if self.environment is not None else []
        if calls and self.turns <= MOST_TURNS:
            given = [called(self.environment, each) for each in calls]
            feedback = results(self.tokenizer, given)
            return _stepped(0.0, feedback, done=False)
        own = getattr(self.environment, "get_reward", None)
        reward = float(own()) if own is not None else worth(text, label)
        return _stepped(reward, "", done=True)


def _stepped(reward: float, feedback: str, *, done: bool) -> dict[str, Any]:
    value = torch.tensor(reward, dtype=torch.float32)
    extra: dict[str, Any] = {}
    return {
        "rewards": value,
        "scores": reward,
        "environment_feedback": feedback,
        "done": done,
        "sampling_params": None,
        "extra_logs": extra,
    }


class AgentExecutor(MultiTurnAgentExecutor):  # type: ignore[misc]
    """What OpenRLHF looks for in this file."""

    def __init__(self) -> None:
        super().__init__(Visit)

    async def execute(
        self,
        prompt: Any,
        label: Any,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: Any,
        llm_engine: Any,
        images: Any = None,
    ) -> Any:
        """One response. The sampling parameters are changed by each, and shared by several."""
        bound = type("Bound", (Visit,), {"tokenizer": hf_tokenizer})
        return await MultiTurnAgentExecutor(bound).execute(
            prompt, label, deepcopy(sampling_params), max_length, hf_tokenizer, llm_engine, images
        )
