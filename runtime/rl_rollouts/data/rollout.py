"""The types that flow through the pipeline. Each holds one rollout or less."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Json = dict[str, Any]
NULL = msgspec.Raw(b"null")
ABSENT = msgspec.Raw(b"")


class Function(msgspec.Struct, gc=False):
    """What a call names."""

    name: str
    arguments: Json


class ToolCall(msgspec.Struct, tag_field="type", tag="function", omit_defaults=True, gc=False):
    """One call that the model made. Encoded as in an OpenAI chat message, arguments as object."""

    function: Function
    id: str | None = None


class Message(
    msgspec.Struct, omit_defaults=True, rename={"reasoning": "reasoning_content"}, gc=False
):
    """One message. Encoded, it is the chat message that Hugging Face chat templates want.

    Texts are kept as JSON text: most of a rollout is passed through, and reading it would cost
    more than everything else. `text` and `thought` read them.
    """

    role: Role
    content: msgspec.Raw
    """JSON text of a string, which is empty on an assistant turn that only calls tools. Of a list
    of text and image_url parts where images are kept as references."""
    reasoning: msgspec.Raw = ABSENT
    """JSON text of what the model thought before it wrote the content."""
    tool_calls: list[ToolCall] = []
    """Parallel calls are one message."""
    tool_call_id: str | None = None
    """On tool messages: the call that this answers."""

    @property
    def text(self) -> str:
        """The content, without images."""
        content = msgspec.json.decode(self.content)
        if isinstance(content, str):
            return content
        return "".join(part.get("text", "") for part in content)

    @text.setter
    def text(self, text: str) -> None:
        self.content = raw(text)

    @property
    def thought(self) -> str:
        """The reasoning, empty when there is none."""
        return msgspec.json.decode(self.reasoning, type=str) if self.reasoning else ""

    @thought.setter
    def thought(self, text: str) -> None:
        self.reasoning = raw(text) if text else ABSENT


def message(role: Role, text: str, thought: str = "", **others: Any) -> Message:
    """A message out of plain text."""
    reasoning = raw(thought) if thought else ABSENT
    return Message(role, raw(text), reasoning, **others)


def raw(value: Any) -> msgspec.Raw:
    """A value as JSON text."""
    return msgspec.Raw(_encode(value))


_encode = msgspec.json.Encoder().encode


class Tokens(msgspec.Struct):
    """What the model read and wrote in one turn, as token ids of its server."""

    prompt: list[int]
    generated: list[int]
    logprobs: list[float]
    """Natural logarithms, one for each generated token."""


class Head(msgspec.Struct, omit_defaults=True):
    """What is known of a rollout before its conversation is read."""

    reward: float | None
    """None where the record has none: not every dataset kind needs it."""
    agent: str | None = None
    truncated: bool = False
    """The model ran into its token limit."""
    masked: bool = False
    """The environment says that this must not be trained on."""
    failed: bool = False
    """The environment or the model's server reported an error."""


class Rollout(Head, omit_defaults=True, kw_only=True):
    """A prompt, what the model did, and what it was worth. What is not known stays absent."""

    prompt: list[Message]
    """What the model saw before it first wrote."""
    completion: list[Message]
    """From the model's first turn on; between its turns stand tool results and user turns. Empty
    where nothing came back: the record is a prompt."""
    task: str
    """What the rollout attempts; rollouts of one task can be compared."""
    tools: msgspec.Raw = NULL
    """JSON text of the tool schemas in chat format, passed through; null when the record has none,
    even where tools were used."""
    ground_truth: msgspec.Raw = NULL
    """JSON text of what the environment's verifier compares with."""
    facts: dict[str, msgspec.Raw] | Callable[[], dict[str, msgspec.Raw]] = {}
    """What `metadata` gives, or what reads it when it is asked for: it costs half as much as the
    rest."""
    turn_rewards: list[float] | None = None
    """One for each message of the model in the completion, where the environment gave them."""
    turn_tokens: list[Tokens] | None = None
    """One for each message of the model in the completion; absent unless all are whole."""

    prompt_hash: int | None = None
    """64 bits of what the prompt says, where they are known already."""
    worse: "Rollout | None" = None
    """The rejected side, where the record is a pair; this is the chosen one."""

    @property
    def metadata(self) -> dict[str, msgspec.Raw]:
        """Everything else on the record beside prompt, response and reward, each value as JSON
        text."""
        if callable(self.facts):
            self.facts = self.facts()
        return self.facts

    @metadata.setter
    def metadata(self, facts: dict[str, msgspec.Raw]) -> None:
        self.facts = facts

    @property
    def truth(self) -> Any:
        """The ground truth as a plain value, None where there is none."""
        return msgspec.json.decode(self.ground_truth)

    def fact(self, key: str) -> Any:
        """What the record has under a key of the metadata, as a plain value; None if nothing."""
        return msgspec.json.decode(self.metadata.get(key, NULL))
