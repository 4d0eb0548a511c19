"""Which rollouts are kept: rules over one rollout, and rules over all rollouts of a task."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from ..errors import UserError
from .rollout import NULL, Head, Message, Rollout

Rule = tuple[str, Callable[[Any], Any]]
"""Words for the table, and whether it removes a rollout."""
CountTokens = Callable[[Rollout], int]


class Rules(msgspec.Struct, frozen=True):
    """What a rollout must fulfil. The defaults keep every rollout that ended on its own."""

    min_reward: float | None = None
    max_reward: float | None = None
    agents: tuple[str, ...] = ()
    """Names of agents; none means all."""
    min_turns: int | None = None
    max_turns: int | None = None
    """Messages of the model in the completion."""
    max_chars: int | None = None
    """Characters of prompt and completion, tool schemas and calls included."""
    max_tokens: int | None = None
    keep_truncated: bool = False
    keep_masked: bool = False
    keep_failed: bool = False

    def __post_init__(self) -> None:
        _demand_order("reward", self.min_reward, self.max_reward)
        _demand_order("turns", self.min_turns, self.max_turns)


class TaskRules(msgspec.Struct, frozen=True):
    """What is decided between rollouts. The defaults keep all."""

    duplicates: Literal["keep", "exact", "normalised"] = "keep"
    """exact: same messages, whatever the ids of calls; normalised: also whatever the case and the
    white space."""
    max_per_task: int | None = None
    """The rollouts that stay are drawn by hash, so rewards keep their proportions."""
    min_pass_rate: float | None = None
    max_pass_rate: float | None = None
    """Share of a task's rollouts that solved it, before any other rule."""
    solved_from: float = 0.5
    """Lowest reward that counts as solved."""
    balance: str | None = None
    """`agent`, or a key of the metadata."""
    max_per_category: int | None = None
    """None: as many as the smallest category has."""
    select: Literal["all", "best", "one"] = "all"
    """Of each task: all, the one with the highest reward, or one drawn by hash."""

    def __post_init__(self) -> None:
        _demand_order("pass_rate", self.min_pass_rate, self.max_pass_rate)

    @property
    def windowed(self) -> bool:
        """Whether the pass rate decides."""
        return self.min_pass_rate is not None or self.max_pass_rate is not None

    @property
    def needed(self) -> bool:
        """Whether rollouts have to be compared at all."""
        return self != TaskRules(solved_from=self.solved_from)


def head_rules(rules: Rules) -> Iterator[Rule]:
    """The rules that were asked for and need no conversation."""
    low, high, agents = rules.min_reward, rules.max_reward, rules.agents
    if not rules.keep_masked:
        yield "masked by the environment", lambda rollout: rollout.masked
    if not rules.keep_failed:
        yield "failed in the environment", lambda rollout: rollout.failed
    if not rules.keep_truncated:
        yield "truncated at the token limit", lambda rollout: rollout.truncated
    if agents:
        yield "of another agent", lambda rollout: rollout.agent not in agents
    if low is not None:
        yield f"reward below {low}", lambda rollout: rollout.reward < low
    if high is not None:
        yield f"reward above {high}", lambda rollout: rollout.reward > high


def rollout_rules(rules: Rules, count_tokens: CountTokens | None) -> Iterator[Rule]:
    """The rules over conversations."""
    few, many, longest, most = rules.min_turns, rules.max_turns, rules.max_chars, rules.max_tokens
    if few is not None:
        yield f"fewer than {few} turns", lambda rollout: turns(rollout) < few
    if many is not None:
        yield f"more than {many} turns", lambda rollout: turns(rollout) > many
    if longest is not None:
        yield f"longer than {longest} characters", lambda rollout: chars(rollout) > longest
    if most is not None and count_tokens is not None:
        yield f"longer than {most} tokens", lambda rollout: count_tokens(rollout) > most


def removed_by(rollout: Head, rules: Iterable[Rule]) -> str | None:
    """The first rule that removes a rollout, in words; None when it is kept."""
    for words, removes in rules:
        if removes(rollout):
            return words
    return None


def turns(rollout: Rollout) -> int:
    """Messages that the model wrote."""
    return sum(message.role == "assistant" for message in rollout.completion)


def chars(rollout: Rollout) -> int:
    """Characters of everything that the model reads and writes."""
    messages = (*rollout.prompt, *rollout.completion)
    schemas = 0 if rollout.tools == NULL else len(rollout.tools)
    return sum(map(_chars_of, messages)) + schemas


def _chars_of(message: Message) -> int:
    calls = sum(
        len(call.function.name) + len(msgspec.json.encode(call.function.arguments))
        for call in message.tool_calls
    )
    return len(message.text) + len(message.thought) + calls


def _demand_order(name: str, low: float | None, high: float | None) -> None:
    lowest = -math.inf if low is None else low
    highest = math.inf if high is None else high
    if not lowest <= highest:
        raise UserError(
            f"Nothing lies between --min_{name} {lowest:g} and --max_{name} {highest:g}.",
            "Give numbers of which the first is not above the second.",
        )
