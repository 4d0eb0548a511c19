"""What rows for several frameworks share: prompts, conversations, names and texts of columns."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from .rollout import Json, Message, Rollout

Row = Callable[[Any], Any]
"""Turns what a dataset kind is made of into the row that a framework's loader wants: a `Rollout`
for sft and prompts, a `build.Pair`, a `build.Judged`, a `build.Trajectory`."""


class Prompt(msgspec.Struct):
    """What an online trainer generates from, and what the reward is computed with.

    `evaluate.py` and `rewards.py` read these names; they are the same for every framework.
    """

    task: str
    prompt: list[Message]
    tools: msgspec.Raw
    ground_truth: msgspec.Raw
    metadata: dict[str, msgspec.Raw]


def prompt(rollout: Rollout) -> Prompt:
    return Prompt(
        rollout.task, rollout.prompt, rollout.tools, rollout.ground_truth, rollout.metadata
    )


def until_last_turn(completion: list[Message]) -> list[Message]:
    """The completion up to the model's last turn.

    What stands after it, such as the result of a last call, the model neither wrote nor answered;
    trainers that learn everything after the prompt would learn to write it.
    """
    end = len(completion)
    while end and completion[end - 1].role != "assistant":
        end -= 1
    return completion if end == len(completion) else completion[:end]


def conversation(rollout: Rollout) -> list[Message]:
    """Prompt and completion as one list, which ends with the model's last turn."""
    return rollout.prompt + until_last_turn(rollout.completion)


def text_of(value: msgspec.Raw) -> str:
    """A JSON value where a loader wants text: strings as they are, null as nothing."""
    text = json_text(value)
    if text.startswith('"'):
        return msgspec.json.decode(value, type=str)
    return "" if text == "null" else text


def json_text(value: Any) -> str:
    """A value as JSON text, for columns that have to be of one type in all rows."""
    return msgspec.json.encode(value).decode()


def renamed(row: Row, names: Mapping[str, str]) -> Row:
    """The same row under the names that the trainer's config gives to its columns."""
    return partial(_renamed, row, dict(names))


def _renamed(row: Row, names: Mapping[str, str], built: Any) -> Json:
    return {names.get(key, key): value for key, value in _fields(row(built)).items()}


def with_text_arguments(row: Row) -> Row:
    """The same row with the arguments of calls as JSON text, as in OpenAI's API.

    Most chat templates want objects, which is the default.
    """
    return partial(_with_text_arguments, row)


def _with_text_arguments(row: Row, built: Any) -> Json:
    return {key: _text_arguments(value) for key, value in _fields(row(built)).items()}


def _fields(row: Any) -> Json:
    return dict(row) if isinstance(row, Mapping) else msgspec.structs.asdict(row)


def _text_arguments(value: Any) -> Any:
    if isinstance(value, Message):
        return _with_text(value) if value.tool_calls else value
    if isinstance(value, msgspec.Struct):
        return {key: _text_arguments(part) for key, part in _fields(value).items()}
    if isinstance(value, list):
        return [_text_arguments(part) for part in value]
    if isinstance(value, Mapping):
        if value.get("tool_calls"):
            return _with_text(value)
        return {key: _text_arguments(part) for key, part in value.items()}
    return value


def _with_text(message: Message | Mapping[str, Any]) -> Json:
    chat: Json = msgspec.json.decode(msgspec.json.encode(message))
    for call in chat["tool_calls"]:
        called = call["function"]
        if not isinstance(called["arguments"], str):
            called["arguments"] = json_text(called["arguments"])
    return chat
