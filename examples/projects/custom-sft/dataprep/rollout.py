"""The types that flow through the pipeline. Each holds one rollout or less."""

from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Json = dict[str, Any]


class ToolCall(msgspec.Struct, omit_defaults=True):
    """One call that the model made."""

    name: str
    arguments: Json
    id: str | None = None


class Message(msgspec.Struct, omit_defaults=True):
    """One chat message."""

    role: Role
    content: str | None = None
    """Absent on an assistant turn that only calls tools."""
    reasoning: str | None = None
    """What the model thought before it wrote the content."""
    tool_calls: list[ToolCall] = []
    """Parallel calls are one message."""
    tool_call_id: str | None = None
    """On tool messages: the call that this answers."""


class Rollout(msgspec.Struct, omit_defaults=True):
    """A prompt, what the model did, and what it was worth. What is not known stays absent."""

    prompt: list[Message]
    """What the model saw before it first wrote."""
    completion: list[Message]
    """From the model's first turn on; between its turns stand tool results and user turns."""
    reward: float
    task: str
    """What the rollout attempts; rollouts of one task can be compared."""
    tools: list[Json] | None = None
    """Tool schemas in chat format. Absent when the record has none, even where tools were used."""
    agent: str | None = None
    truncated: bool = False
    """The model ran into its token limit."""
    masked: bool = False
    """The environment says that this must not be trained on."""
    failed: bool = False
    """The environment or the model's server reported an error."""
    ground_truth: Any = None
    metadata: Json = {}
    """Everything else that stands on the record beside prompt, response and reward."""


def chat(message: Message) -> Json:
    """An OpenAI chat message as Hugging Face chat templates want it: arguments are objects."""
    row: Json = {"role": message.role, "content": message.content or ""}
    if message.reasoning:
        row["reasoning_content"] = message.reasoning
    if message.tool_calls:
        row["tool_calls"] = [_chat_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        row["tool_call_id"] = message.tool_call_id
    return row


def prompt_completion(rollout: Rollout) -> Json:
    """A row with prompt and completion apart, so that nothing in the prompt is trained on."""
    return {
        "prompt": [chat(message) for message in rollout.prompt],
        "completion": [chat(message) for message in rollout.completion],
        "tools": rollout.tools,
    }


def _chat_call(call: ToolCall) -> Json:
    row: Json = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return row if call.id is None else {"id": call.id, **row}
