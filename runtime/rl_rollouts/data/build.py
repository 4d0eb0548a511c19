"""What the rows of each dataset kind are made of."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import msgspec

from ..errors import NO_REWARD, Damaged
from .filter import turns
from .rollout import Message, Rollout, Tokens
from .same import said

Mark = tuple[bool, Any]


class Pair(msgspec.Struct):
    """A better and a worse way to go on from the same prompt."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    tools: msgspec.Raw
    chosen_reward: float
    rejected_reward: float
    task: str


class Judged(msgspec.Struct):
    """A rollout that is called good or bad on its own."""

    rollout: Rollout
    good: bool


class Trajectory(msgspec.Struct):
    """A rollout step by step; all lists have one element for each message of the model."""

    task: str
    states: list[list[Message]]
    """What the model saw."""
    actions: list[Message]
    """What it wrote."""
    rewards: list[float]
    """What the step earned: the whole reward at the last, unless the environment gave more."""
    tools: msgspec.Raw
    tokens: list[Tokens] | None
    metadata: dict[str, msgspec.Raw]


def pair(better: Rollout, worse: Rollout, *, whole: bool = False) -> Pair | None:
    """Two rollouts of one prompt, or None where they do not differ in what the model wrote.

    Unless whole completions are asked for, the pair is the first turn at which the two differ,
    after everything that they share: a loss over whole completions would fall on tool results and
    user turns too, which the model did not write. For completions of one message both are the same.
    """
    shared = parting(map(mark, better.completion), map(mark, worse.completion))
    if shared is None:
        return None
    start = 0 if whole else shared
    end = None if whole else shared + 1
    return Pair(
        prompt=[*better.prompt, *better.completion[:start]],
        chosen=better.completion[start:end],
        rejected=worse.completion[start:end],
        tools=better.tools,
        chosen_reward=better.reward or 0.0,
        rejected_reward=worse.reward or 0.0,
        task=better.task,
    )


def trajectory(rollout: Rollout) -> Trajectory:
    """The steps of a rollout."""
    places = [at for at, message in enumerate(rollout.completion) if message.role == "assistant"]
    rewards = [0.0] * (turns(rollout) - 1) + [rollout.reward or 0.0]
    return Trajectory(
        task=rollout.task,
        states=[[*rollout.prompt, *rollout.completion[:at]] for at in places],
        actions=[rollout.completion[at] for at in places],
        rewards=rollout.turn_rewards or rewards,
        tools=rollout.tools,
        tokens=rollout.turn_tokens,
        metadata=rollout.metadata,
    )


def by_turn(rollout: Rollout) -> Iterator[Rollout]:
    """A rollout for each message of the model, with all that stands before it as the prompt.

    For trainers that learn everything after the prompt: what the model did not write is in it.
    """
    places = [at for at, message in enumerate(rollout.completion) if message.role == "assistant"]
    for turn, at in enumerate(places):
        prompt = [*rollout.prompt, *rollout.completion[:at]]
        yield msgspec.structs.replace(
            rollout,
            prompt=prompt,
            completion=[rollout.completion[at]],
            turn_tokens=rollout.turn_tokens and [rollout.turn_tokens[turn]],
            turn_rewards=rollout.turn_rewards and [rollout.turn_rewards[turn]],
        )


def mark(message: Message) -> Mark:
    """Whether the model wrote a message, and what it says."""
    return message.role == "assistant", said([message])


def parting(one: Iterable[Mark], other: Iterable[Mark]) -> int | None:
    """Where two completions part, if the model goes on there in both."""
    for at, (a, b) in enumerate(zip_longest(one, other)):
        if a != b:
            return at if a and b and a[0] and b[0] else None
    return None


def demand_answer(rollout: Rollout) -> None:
    """See that there is one answer of the model to learn from.

    Raises:
        Damaged: where there is none, or a pair of them.
    """
    if rollout.worse is not None:
        raise Damaged("a pair of a chosen and a rejected answer, which is data for dpo, rm and kto")
    if not rollout.completion:
        raise Damaged("an input without a response, which is data for online algorithms only")


def demand_reward(rollout: Rollout) -> float:
    """The reward.

    Raises:
        Damaged: where there is none.
    """
    if rollout.reward is None:
        raise Damaged(NO_REWARD)
    return rollout.reward
