"""Responses items become chat messages, turn by turn.

One turn of the model is: reasoning, text, and any number of calls; the results of the calls follow.
Where a record leaves out what the model saw between two of its turns, training on what follows
would teach an answer to a question that was never asked: that is a `Gap`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import Damaged, SetAside
from .content import EMPTY, NOTHING, Content, text_of, with_images
from .items import KINDS, Item, Plain
from .reasoning import may_be_in, split
from .rollout import ABSENT, Function, Message, Role, Tokens, ToolCall, raw

ROLES: dict[Any, Role] = {"user": "user", "system": "system", "developer": "system"}
"""Of messages that the model did not write."""


SILENT = (*NOTHING, msgspec.Raw(b"[]"))
END_OF_TURN = Item()
"""Among items: what follows is another turn, also where it is the model's again."""


class Gap(SetAside):
    """Something between two messages is missing; what stands before it is whole."""


class Conversation:
    """Messages so far, the model's open turn, and the calls that have no result yet."""

    def __init__(self, *, images: bool = False, tokens: bool = False) -> None:
        self.messages: list[Message] = []
        self.given: int | None = None
        """How many of them were there before the model was asked; None while they are read."""
        self.notes: dict[int, tuple[Tokens | None, Any]] = {}
        """Token ids and reward of a turn, by its place among the messages."""
        self.unlearned: set[int] = set()
        """Places of turns that are not to be learned."""
        self._content_of = with_images if images else text_of
        self._with_tokens = tokens
        self._turn: Message | None = None
        self._unanswered: list[str | None] = []

    def extend(self, items: Sequence[Any]) -> None:  # noqa: PLR0912 (calls cost more)
        """Add items in order. The commonest come first, and cost the fewest calls.

        Raises:
            SetAside: for an item that has no place in a chat; a Gap where something is missing.
            Damaged: for what is no item.
        """
        messages, unanswered, turn = self.messages, self._unanswered, self._turn
        for item in items:
            if type(item) not in KINDS:
                raise Damaged(f"an item is a {type(item).__name__}, not an object")
            kind, role = item.type, item.role
            if kind == "function_call":
                if unanswered and (turn is None or not turn.tool_calls):
                    raise Gap("the model went on before a call had its result")
                if turn is None:
                    turn = Message("assistant", EMPTY)
                turn.tool_calls.append(call_of(item))
                unanswered.append(item.call_id)
            elif kind == "function_call_output":
                if turn is not None:
                    self._end(turn)
                    turn = None
                call_id, content = item.call_id, item.output
                if call_id not in unanswered:
                    call_id = _first_open(call_id, unanswered)
                unanswered.remove(call_id)
                messages.append(Message("tool", self._content_of(content), ABSENT, [], call_id))
            elif kind == "reasoning":
                turn = _thinking(turn, item)
            elif kind == "message" or (kind is None and role is not None):
                if role == "assistant":
                    turn = self._continue(item.content, turn)
                else:
                    if turn is not None:
                        self._end(turn)
                        turn = None
                    if unanswered:
                        raise Gap("a call has no result before the conversation goes on")
                    if type(role) is not str or role not in ROLES:
                        raise Damaged(f"a message has the role {role!r}")
                    messages.append(Message(ROLES[role], self._content_of(item.content)))
            elif item is END_OF_TURN:
                if turn is not None:
                    self._end(turn)
                    turn = None
            else:
                raise SetAside(f"an item of type {kind or 'absent'} has no place in a chat")
            noted = item.generation_token_ids is not ABSENT or item.reward is not None
            if (noted or item.weight is not None) and turn is not None:
                self._note(item)
        self._turn = turn

    def end_of_prompt(self) -> None:
        """From here on it is what came back."""
        self.close()
        self.given = len(self.messages)

    def close(self) -> None:
        """End the model's turn, if it has begun one."""
        if self._turn is not None:
            self._end(self._turn)
            self._turn = None

    def cut(self) -> None:
        """After a gap: end with what the model wrote, or with what its calls returned."""
        while self.messages[self.given :] and self.messages[-1].role in {"system", "user"}:
            self.messages.pop()

    def _continue(self, content: Content, turn: Message | None) -> Message:
        """Text of the model goes on with its turn, or begins one."""
        text = text_of(content)
        if turn is not None:
            if len(text) == len(EMPTY):
                return turn
            if self._unanswered or len(turn.content) > len(EMPTY):
                self._end(turn)
                turn = None
        if self._unanswered:
            raise Gap("a call has no result before the conversation goes on")
        if turn is None:
            return Message("assistant", text)
        turn.content = text
        return turn

    def _end(self, turn: Message) -> None:
        """Put a turn among the messages."""
        if turn.reasoning is ABSENT and turn.content is not EMPTY and may_be_in(turn.content):
            thought, text = split(turn.text)
            turn.reasoning, turn.content = raw(thought) if thought else ABSENT, raw(text)
        if turn.reasoning is not ABSENT and not turn.tool_calls and turn.content in NOTHING:
            raise Gap("the model was cut off while reasoning")
        messages = self.messages
        if messages and messages[-1].role == "assistant":
            raise Gap("two turns of the model in a row: what it saw in between is missing")
        messages.append(turn)

    def _note(self, item: Item | Plain) -> None:
        """Token ids, reward and weight of the turn at hand, where the record gives them."""
        at = len(self.messages)
        if item.weight is False:
            self.unlearned.add(at)
        if item.generation_token_ids is ABSENT and item.reward is None:
            return
        tokens, reward = self.notes.get(at, (None, None))
        if self._with_tokens:
            tokens = _tokens(item) or tokens
        self.notes[at] = tokens, reward if item.reward is None else item.reward


def _first_open(call_id: Any, unanswered: Sequence[str | None]) -> str | None:
    """The id of the call that a result answers, where only one of the two has an id.

    Raises:
        Gap: when both have one, or there is no call.
    """
    if not unanswered:
        raise Gap("a tool result answers no call")
    if call_id is not None and None not in unanswered:
        raise Gap("a tool result answers none of the open calls: its tool_call_id is of another")
    return unanswered[0] if call_id is None else None


def _thinking(turn: Message | None, item: Item | Plain) -> Message | None:
    """Reasoning is added to the turn that it led to.

    Encrypted reasoning and empty summaries say nothing and are left out.
    """
    content: Content = item.content
    if not content or (not isinstance(content, list) and content in SILENT):
        content = item.summary
    text = text_of(content, "\n")
    if len(text) == len(EMPTY):
        return turn
    if turn is None:
        return Message("assistant", EMPTY, text)
    if turn.reasoning:
        text = raw(f"{turn.thought}\n{msgspec.json.decode(text)}")
    turn.reasoning = text
    return turn


def call_of(item: Item | Plain) -> ToolCall:
    """A call; an empty string is no arguments."""
    name, arguments, call_id = item.name, item.arguments, item.call_id
    if type(name) is not str or not name:
        raise SetAside("a call has no name")
    if call_id is not None and type(call_id) is not str:
        raise Damaged("the id of a call is not text")
    if type(arguments) is str:
        try:
            arguments = _decode(arguments)
        except (msgspec.DecodeError, RecursionError):
            if arguments.strip():
                raise SetAside(f"the arguments of a call are not JSON: {name}") from None
            arguments = {}
    if type(arguments) is not dict:
        raise SetAside(f"the arguments of a call are not an object: {name}")
    return ToolCall(Function(name, arguments), call_id)


_decode = msgspec.json.Decoder().decode


def _tokens(item: Item | Plain) -> Tokens | None:
    """What the model's server read and wrote, if the record has all three lists, and whole."""
    try:
        tokens = Tokens(
            msgspec.json.decode(item.prompt_token_ids, type=list[int]),
            msgspec.json.decode(item.generation_token_ids, type=list[int]),
            msgspec.json.decode(item.generation_log_probs, type=list[float]),
        )
    except msgspec.DecodeError:
        return None
    whole = tokens.prompt and tokens.generated and len(tokens.generated) == len(tokens.logprobs)
    return tokens if whole else None
