"""One record of a rollout file becomes one `Rollout`, or a reason why it cannot."""

import hashlib
import math
from typing import Any

import msgspec

from .errors import Unusable
from .responses import Conversation, chat_tools, last_snapshot, text_of
from .rollout import Json, Message, Rollout

NOT_METADATA = {"responses_create_params", "response", "reward", "agent_ref"}
GROUND_TRUTH = ("expected_answer", "ground_truth")
SPARE_LEVELS = 50
"""Nesting that is left for rows, which hold a rollout's parts deeper than the record does."""


def normalise(record: Json) -> Rollout:
    """Read a NeMo Gym rollout (v0.3 to v0.5: responses_create_params, response, reward).

    Raises:
        Unusable: with the reason.
    """
    try:
        rollout = _rollout(record)
        _demand_writable(rollout)
    except RecursionError:
        raise Unusable("the record is nested too deeply") from None
    except UnicodeEncodeError:
        raise Unusable("the text holds half of a surrogate pair, which is no character") from None
    return rollout


def _rollout(record: Json) -> Rollout:
    request, response = record.get("responses_create_params"), record.get("response")
    if not isinstance(request, dict):
        raise Unusable("no responses_create_params: this is not a NeMo Gym rollout")
    if not isinstance(response, dict):
        raise Unusable("no response: this is an input, or a rollout that failed")
    prompt, completion = _conversation(request, response)
    agent = _agent(record.get("agent_ref"))
    return Rollout(
        prompt=prompt,
        completion=completion,
        reward=_reward(record),
        task=_task(record, agent, prompt),
        tools=chat_tools(request.get("tools") or response.get("tools")),
        agent=agent,
        truncated=_truncated(response),
        masked=record.get("mask_sample") is True,
        failed=bool(record.get("_ng_failure_class") or response.get("error")),
        ground_truth=next((record[key] for key in GROUND_TRUTH if key in record), None),
        metadata={
            key: value
            for key, value in record.items()
            if key not in NOT_METADATA and not key.startswith("_ng_")
        },
    )


def _demand_writable(rollout: Rollout) -> None:
    """Fail here, where the line is known, and not when rows are written."""
    nested: Any = rollout
    for _ in range(SPARE_LEVELS):
        nested = [nested]
    msgspec.json.encode(nested)


def _conversation(request: Json, response: Json) -> tuple[list[Message], list[Message]]:
    """Prompt and completion; the completion begins with the model's first turn in the output."""
    chat = Conversation()
    if request.get("instructions"):
        chat.messages.append(Message("system", text_of(request["instructions"])))
    chat.extend(_items(request.get("input")))
    chat.close()
    given = len(chat.messages)
    chat.extend(last_snapshot(_items(response.get("output"))))
    chat.close()
    roles = [message.role for message in chat.messages]
    if "assistant" not in roles[given:]:
        raise Unusable("the model wrote nothing")
    first = roles.index("assistant", given)
    if first == 0:
        raise Unusable("the prompt is not in the record")
    prompt, completion = chat.messages[:first], chat.messages[first:]
    turns = [message for message in completion if message.role == "assistant"]
    if not any(turn.content or turn.tool_calls for turn in turns):
        raise Unusable("the model wrote nothing")
    return prompt, completion


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unusable(f"a conversation is a {type(value).__name__}, not a list")
    return value


def _reward(record: Json) -> float:
    if "reward" not in record or record["reward"] is None:
        raise Unusable("no reward")
    reward = record["reward"]
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise Unusable(f"the reward {reward!r} is not a number")
    try:
        number = float(reward)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unusable(f"the reward is {number}")
    return number


def _agent(reference: Any) -> str | None:
    name = reference.get("name") if isinstance(reference, dict) else None
    return name if isinstance(name, str) else None


def _task(record: Json, agent: str | None, prompt: list[Message]) -> str:
    """The agent's task index where NeMo Gym stamped one, else the prompt itself."""
    index = record.get("_ng_task_index")
    if isinstance(index, int) and not isinstance(index, bool):
        return f"{agent or ''}:{index}"
    digest = hashlib.blake2b(msgspec.json.encode(prompt), digest_size=12)
    return f"prompt:{digest.hexdigest()}"


def _truncated(response: Json) -> bool:
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason == "max_output_tokens" or response.get("status") == "incomplete"
