"""The few rollouts that a person reads: from all agents, solved and not, shortened."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from ..data.rollout import Message, Rollout
from ..data.same import hash_of
from .bounded import Held, Smallest
from .content import json_of, text_of
from .names import short
from .summary import Call, Excerpt, Said, Sample

SAMPLES = 20
FIRST_MESSAGES, LAST_MESSAGES = 4, 8
"""Of a long conversation, the first and last messages are shown."""
LONGEST_TEXT = 1600
"""Characters of a message, and of a call's arguments, that are shown."""
LONGEST_REASONING = 1000
MOST_CALLS = 6
"""Of one message."""


class Samples:
    """The rollouts with the smallest hashes, agent by agent, of the solved and of the unsolved."""

    def __init__(self) -> None:
        self._strata: Smallest[Smallest[Sample]] = Smallest(SAMPLES)

    def add(self, rollout: Rollout, text: int, solved: bool) -> None:
        """Consider a rollout. `text` is the hash of its messages and tools."""
        stratum = hash_of(f"{solved} {rollout.agent}")
        if not self._strata.admits(stratum):
            return
        marks = [name for name in ("truncated", "masked", "failed") if getattr(rollout, name)]
        key = hash_of(f"{text} {rollout.task} {rollout.reward} {marks}")
        samples = self._strata.get(stratum) or Smallest(SAMPLES)
        if samples.admits(key):
            samples.add(key, _sample(rollout, solved, marks), _either)
        self._strata.add(stratum, samples, _either)

    def merge(self, other: "Samples") -> None:
        self._strata.merge(other._strata, _merged)

    def chosen(self) -> list[Sample]:
        """In turn from each stratum, then ordered by agent and reward."""
        strata = [stratum.in_order() for stratum in self._strata.in_order()]
        in_turn = [each for each in chain(*zip_longest(*strata)) if each is not None]
        return sorted(in_turn[:SAMPLES], key=lambda each: (each.agent or "", -(each.reward or 0.0)))


def excerpt(text: str, longest: int) -> Excerpt:
    """A text of at most so many characters: three quarters from its start, the rest its end."""
    if len(text) <= longest:
        return Excerpt(text)
    head = longest * 3 // 4
    tail = longest - head
    return Excerpt(text[:head], len(text) - longest, text[-tail:])


def _either(held: Held, _: Held) -> Held:
    """Equal keys are of equal values."""
    return held


def _merged(one: Smallest[Sample], other: Smallest[Sample]) -> Smallest[Sample]:
    one.merge(other, _either)
    return one


def _sample(rollout: Rollout, solved: bool, marks: list[str]) -> Sample:
    return Sample(
        agent=short(rollout.agent) if rollout.agent is not None else None,
        task=short(rollout.task),
        reward=rollout.reward,
        solved=solved,
        marks=marks,
        messages=_shortened(rollout.prompt, given=True)
        + _shortened(rollout.completion, given=False),
    )


def _shortened(messages: Sequence[Message], *, given: bool) -> list[Said]:
    skipped = len(messages) - FIRST_MESSAGES - LAST_MESSAGES
    if skipped <= 1:
        return [_said(message, given) for message in messages]
    first = [_said(message, given) for message in messages[:FIRST_MESSAGES]]
    last = [_said(message, given) for message in messages[-LAST_MESSAGES:]]
    last[0].skipped = skipped
    return first + last


def _said(message: Message, given: bool) -> Said:
    calls = [
        Call(short(call.function.name), excerpt(json_of(call.function.arguments), LONGEST_TEXT))
        for call in message.tool_calls[:MOST_CALLS]
    ]
    if len(message.tool_calls) > MOST_CALLS:
        more = len(message.tool_calls) - MOST_CALLS
        calls.append(Call(f"{more} more calls", Excerpt("")))
    thought = excerpt(message.thought, LONGEST_REASONING) if message.reasoning else None
    return Said(message.role, excerpt(text_of(message), LONGEST_TEXT), given, thought, calls)
