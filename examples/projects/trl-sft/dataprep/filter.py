"""Which rollouts are kept."""

import math

import msgspec

from .errors import UserError
from .rollout import Rollout


class Rules(msgspec.Struct, frozen=True):
    """What a rollout must fulfil. The defaults keep every rollout that ended on its own."""

    min_reward: float | None = None
    max_reward: float | None = None
    agents: tuple[str, ...] = ()
    """Names of agents; none means all."""
    keep_truncated: bool = False
    keep_masked: bool = False
    keep_failed: bool = False

    def __post_init__(self) -> None:
        low = -math.inf if self.min_reward is None else self.min_reward
        high = math.inf if self.max_reward is None else self.max_reward
        if not low <= high:
            raise UserError(
                f"No reward lies between --min_reward {low:g} and --max_reward {high:g}.",
                "Give numbers of which the first is not above the second.",
            )


def removed_by(rollout: Rollout, rules: Rules) -> str | None:
    """The first rule that removes a rollout, in words; None when it is kept."""
    low, high = rules.min_reward, rules.max_reward
    checks = (
        (rollout.masked and not rules.keep_masked, "masked by the environment"),
        (rollout.failed and not rules.keep_failed, "failed in the environment"),
        (rollout.truncated and not rules.keep_truncated, "truncated at the token limit"),
        (rules.agents and rollout.agent not in rules.agents, "of another agent"),
        (low is not None and rollout.reward < low, f"reward below {low}"),
        (high is not None and rollout.reward > high, f"reward above {high}"),
    )
    return next((words for removes, words in checks if removes), None)
