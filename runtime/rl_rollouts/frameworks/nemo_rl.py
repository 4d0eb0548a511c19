"""Rows for NeMo-RL 0.7.0.

    sft            messages, tools, reward, metadata   openai_format, use_preserving_dataset: true
    preference     context, completions, tools         PreferenceDataset
    prompts        a task of NeMo Gym                  NemoGymDataset
    trajectories   messages, tools, reward, metadata   as for sft; no trainer reads single steps

`response` makes rows of prompts for ResponseDataset (input, output) instead, which the environments
inside NeMo-RL score, as math does.

Source: `nemo_rl/data/datasets` and `nemo_rl/data/processors.py`. Of a pair, dpo and rm train the
last message only, and they render chat templates without tools. PreferenceDataset and
ResponseDataset guess the types in JSONL from the first rows; parquet declares them.
"""

from typing import Any

import msgspec

from ..data.build import Pair, Trajectory
from ..data.rollout import Json, Message, Rollout, ToolCall
from ..data.rows import Row, conversation, json_text, text_of, until_last_turn
from ..engine.parquet import Columns, columns
from ..errors import Unusable
from . import ConfigKeys


class Conversation(msgspec.Struct):
    """The last message is the model's; the loader stops at any other."""

    messages: list[Message]
    tools: msgspec.Raw
    reward: float | None
    metadata: dict[str, msgspec.Raw]


class Completion(msgspec.Struct):
    rank: int
    """0 is the better one; there are exactly two, and no ties."""
    completion: list[Message]


class Compared(msgspec.Struct):
    context: list[Message]
    completions: list[Completion]
    tools: str
    """JSON text, which nothing in NeMo-RL reads."""


class Response(msgspec.Struct):
    input: str
    output: str


def sft(rollout: Rollout) -> Conversation:
    return Conversation(conversation(rollout), rollout.tools, rollout.reward, rollout.metadata)


def preference(pair: Pair) -> Compared:
    sides = (until_last_turn(pair.chosen), until_last_turn(pair.rejected))
    completions = [Completion(rank, side) for rank, side in enumerate(sides)]
    return Compared(pair.prompt, completions, json_text(pair.tools))


def trajectories(trajectory: Trajectory) -> Conversation:
    """What the model saw and wrote last, with the sum of the rewards."""
    messages = [*trajectory.states[-1], trajectory.actions[-1]]
    reward = sum(trajectory.rewards)
    return Conversation(messages, trajectory.tools, reward, trajectory.metadata)


def response(rollout: Rollout) -> Response:
    """A question and its answer.

    Raises:
        Unusable: where the prompt is more than one text of the user, or there is no answer.
    """
    question = rollout.prompt[0]
    text = msgspec.json.decode(question.content)
    if len(rollout.prompt) > 1 or question.role != "user" or not isinstance(text, str):
        raise Unusable("the prompt is more than one text of the user")
    answer = text_of(rollout.ground_truth)
    if not answer:
        raise Unusable("there is no ground truth")
    return Response(text, answer)


def gym(rollout: Rollout) -> Json:
    """A task as NeMo Gym reads it; what its verifier needs stands beside the request.

    Temperature and lengths are not in it: NeMo-RL sets them from its own config.

    Raises:
        Unusable: where the rollout does not say which agent to run, or a call has no id.
    """
    if rollout.agent is None:
        raise Unusable("the record has no agent_ref, which says what runs the task")
    request: Json = {"input": [item for message in rollout.prompt for item in _items(message)]}
    if tools := msgspec.json.decode(rollout.tools):
        request["tools"] = [_flat(tool) for tool in tools]
    agent = {"type": "responses_api_agents", "name": rollout.agent}
    return {**rollout.metadata, "responses_create_params": request, "agent_ref": agent}


def _items(message: Message) -> list[Json]:
    """A chat message as items of the Responses API."""
    content = _content(message.content)
    if message.role == "tool":
        call_id = _demand_id(message.tool_call_id)
        return [{"type": "function_call_output", "call_id": call_id, "output": content}]
    items: list[Json] = []
    if message.thought:
        summary = [{"type": "summary_text", "text": message.thought}]
        items.append({"type": "reasoning", "id": "reasoning", "summary": summary})
    if content or not message.tool_calls:
        items.append({"type": "message", "role": message.role, "content": content})
    return items + [_call_item(call) for call in message.tool_calls]


def _call_item(call: ToolCall) -> Json:
    return {
        "type": "function_call",
        "call_id": _demand_id(call.id),
        "name": call.function.name,
        "arguments": json_text(call.function.arguments),
    }


def _demand_id(call_id: str | None) -> str:
    if call_id is None:
        raise Unusable("a call in the prompt has no id, which NeMo Gym demands")
    return call_id


def _content(content: msgspec.Raw) -> Any:
    """Text, or parts."""
    decoded = msgspec.json.decode(content)
    return decoded if isinstance(decoded, str) else [_part(part) for part in decoded]


def _part(part: Json) -> Json:
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}


def _flat(tool: Json) -> Json:
    """A chat tool as the Responses API writes it, which demands these keys."""
    return {"type": "function", "parameters": None, "strict": None, **tool["function"]}


ROWS: dict[str, Row] = {
    "sft": sft,
    "preference": preference,
    "prompts": gym,
    "trajectories": trajectories,
}
COLUMNS: dict[str, Columns] = {
    "sft": columns(Conversation),
    "preference": columns(Compared),
    "prompts": {},
    "trajectories": columns(Conversation),
}
REFUSED = {
    "unpaired": "NeMo-RL has no kto trainer. Train dpo on pairs of rollouts, or choose TRL.",
}
CONFIG = ConfigKeys(
    limit=("policy.max_total_sequence_length",),
    model=("policy.model_name",),
    fate="left out of the loss",
)
