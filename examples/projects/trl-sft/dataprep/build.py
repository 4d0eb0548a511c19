"""Training rows of each dataset kind, out of the rollouts of one task."""

from collections.abc import Iterator, Sequence

import msgspec

from .rollout import Json, Message, Rollout


class Pair(msgspec.Struct):
    """A better and a worse way to go on from the same prompt."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    tools: list[Json] | None
    margin: float
    """Difference of the two rewards, above zero."""


def preference(rollouts: Sequence[Rollout], min_margin: float) -> Iterator[Pair]:
    """The best against the worst rollout of each prompt, if their rewards are `min_margin` apart.

    Ties make no pair.

    The pair is the first turn at which the two differ, after everything that they share. A loss
    over whole completions would fall on tool results and user turns too, which the model did not
    write. For completions of one message both are the same.
    """
    by_prompt: dict[bytes, list[Rollout]] = {}
    for rollout in rollouts:
        key = msgspec.json.encode([rollout.prompt, rollout.tools])
        by_prompt.setdefault(key, []).append(rollout)
    for same in by_prompt.values():
        best = max(same, key=lambda rollout: rollout.reward)
        worst = min(same, key=lambda rollout: rollout.reward)
        # Rounded, so that 0.7 and 0.2 are 0.5 apart.
        margin = round(best.reward - worst.reward, 9)
        shared = _shared(best.completion, worst.completion)
        turns = best.completion[shared : shared + 1], worst.completion[shared : shared + 1]
        if margin > 0 and margin >= min_margin and _both_written(*turns):
            prompt = [*best.prompt, *best.completion[:shared]]
            yield Pair(prompt, *turns, tools=best.tools, margin=margin)


def _shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages are the same from the start; ids of calls do not matter."""
    pairs = zip(map(_without_ids, one), map(_without_ids, other), strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _without_ids(message: Message) -> Message:
    calls = [msgspec.structs.replace(call, id=None) for call in message.tool_calls]
    return msgspec.structs.replace(message, tool_calls=calls, tool_call_id=None)


def _both_written(chosen: Sequence[Message], rejected: Sequence[Message]) -> bool:
    """False where they part at a tool result, or where one is the beginning of the other."""
    return all(turn and turn[0].role == "assistant" for turn in (chosen, rejected))
