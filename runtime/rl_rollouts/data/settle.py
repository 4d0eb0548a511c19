"""Rollouts that a project's own functions made or changed: plain values become JSON text, and what
would break rows is found before any is made."""

import math
from collections.abc import Iterator
from typing import Any, get_args

from msgspec import Raw

from ..errors import SetAside
from .content import EMPTY, NOTHING
from .filter import turns
from .rollout import ABSENT, Message, Role, Rollout, ToolCall, raw

ROLES = frozenset(get_args(Role))


def settle(rollout: Rollout) -> str | None:
    """Mend in place what can be; else say what is wrong.

    Raises:
        SetAside: when the model wrote nothing.
        TypeError, ValueError: for values that are no JSON.
    """
    problem, rollout.prompt_hash = next(_problems(rollout), None), None
    if problem is None and rollout.completion and not any(map(_says, rollout.completion)):
        raise SetAside("the model wrote nothing")
    return problem


def _problems(rollout: Rollout) -> Iterator[str]:
    """In the order in which they matter: what follows one may not be looked at."""
    yield from _wrong_reward(rollout)
    if type(rollout.task) is not str:
        yield f"whose task is {rollout.task!r:.40}, not text"
    for name in ("prompt", "completion"):
        messages = getattr(rollout, name)
        if type(messages) is not list:
            yield f"whose {name} is {messages!r:.40}, not a list of messages"
        elif not messages and name == "prompt":
            yield "whose prompt is empty"
        for message in messages:
            if not _is_plain(message):
                yield from _wrong_message(message)
    if rollout.completion and rollout.completion[0].role != "assistant":
        yield "whose completion does not begin with the model's turn"
    for name in ("tools", "ground_truth"):
        value = getattr(rollout, name)
        if type(value) is not Raw:
            setattr(rollout, name, raw(value))
    if type(rollout.facts) is dict:
        rollout.facts = {key: _json(value) for key, value in rollout.facts.items()}
    for name in ("turn_rewards", "turn_tokens"):
        values = getattr(rollout, name)
        if values is not None and len(values) != turns(rollout):
            yield (
                f"with {len(values)} {name} for {turns(rollout)} turns of the model (set them to "
                "None, or leave out those of turns that are gone)"
            )


def _wrong_reward(rollout: Rollout) -> Iterator[str]:
    reward: Any = rollout.reward
    if reward is None:
        return
    if type(reward) is not float:
        if isinstance(reward, bool) or not hasattr(reward, "__float__"):
            yield f"whose reward is {reward!r:.40}, not a number"
        rollout.reward = float(reward)
    if not math.isfinite(rollout.reward or 0.0):
        yield f"whose reward is {rollout.reward}"


def _is_plain(message: Any) -> bool:
    """Nearly all of them; the rest takes ten times as long."""
    return (
        type(message) is Message
        and type(message.content) is Raw
        and type(message.reasoning) is Raw
        and message.role in ROLES
        and not message.tool_calls
    )


def _wrong_message(message: Any) -> Iterator[str]:
    if type(message) is not Message:
        yield f"with {message!r:.40} among its messages, which is no Message"
    if message.role not in ROLES:
        yield f"with a message of the role {message.role!r:.40}, not {', '.join(sorted(ROLES))}"
    for name, nothing in (("content", EMPTY), ("reasoning", ABSENT)):
        text = getattr(message, name)
        if type(text) is not Raw:
            if not isinstance(text, str | None):
                yield f"with a message whose {name} is {text!r:.40}, not text"
            setattr(message, name, raw(text) if text else nothing)
    if not all(type(call) is ToolCall for call in message.tool_calls):
        yield "with a message whose tool_calls are not all of the type ToolCall"


def _json(value: Any) -> Raw:
    return value if type(value) is Raw else raw(value)


def _says(message: Message) -> bool:
    return message.role == "assistant" and bool(
        message.tool_calls or message.content not in NOTHING
    )
