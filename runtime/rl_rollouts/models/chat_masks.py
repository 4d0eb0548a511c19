"""A conversation as tokens, with a mask of those that the assistant wrote.

The loss of fine-tuning falls on them alone. A chat template with {% generation %} markers says
which they are; for any other they are found by rendering the conversation turn by turn.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from os.path import commonprefix
from typing import Any, NamedTuple

from ..data.tokens import template_errors

Chat = list[dict[str, Any]]
EMPTY_THINK = re.compile(r"<think>\s*</think>\s*")
REMEDY = "give the tokenizer a chat template with {% generation %} markers around what is learnt"
REFUSALS = template_errors()


class RowError(Exception):
    """Why one row cannot be used."""


class Refused(RowError):
    """The chat template does not take the messages."""


class MaskedChat(NamedTuple):
    """A tokenised conversation."""

    tokens: "array[int]"
    trained: bytes
    """1 where the model is to learn the token, else 0; as long as `tokens`."""


@contextmanager
def refusals() -> Iterator[None]:
    """What a chat template raises, as a reason."""
    try:
        yield
    except REFUSALS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise Refused(f"the chat template of the model refuses it: {said}") from None


def demand_messages(*chats: Any) -> None:
    """See that these are chats at all; RowError says what is none."""
    for chat in chats:
        messages = chat if isinstance(chat, list) else [chat]
        if not all(isinstance(each, dict) and "role" in each for each in messages):
            raise RowError("it holds no chat messages; see the prepare script")
        calls = [call for each in messages for call in each.get("tool_calls") or ()]
        if not all(isinstance(call, dict) for call in calls):
            raise RowError("a call of a tool is no object; see the prepare script")


class ChatTokenizer:
    """A fast Hugging Face tokenizer that has a chat template, and what has to be known of it."""

    def __init__(self, tokenizer: Any, **options: Any) -> None:
        """Begin.

        Args:
            options: what else the chat template is told.
        """
        self.tokenize = partial(tokenizer, add_special_tokens=False, return_offsets_mapping=True)
        self.render: Callable[..., Any] = partial(tokenizer.apply_chat_template, **options)
        self.decode = tokenizer.decode
        self.marked = bool(re.search(r"\{%[-+]?\s*generation\b", tokenizer.get_chat_template()))
        added = tokenizer.added_tokens_decoder.items()
        self.special = {number for number, token in added if token.special}

    def __call__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> list[MaskedChat]:
        """The conversations of a row; of one without completions the prompt, as it is asked."""
        if sides:
            return [self.example(prompt, side, tools) for side in sides]
        tokens = self.prompt(prompt, tools)
        return [MaskedChat(array("i", tokens), bytes(len(tokens)))]

    def prompt(self, prompt: Chat, tools: Any) -> list[int]:
        """The tokens up to where the model begins to write.

        Args:
            prompt: chat messages.
            tools: tool schemas in chat format, or None.

        Raises:
            RowError: when the chat template refuses the messages.
        """
        with refusals():
            encoded = self.render(prompt, tools=tools, add_generation_prompt=True, return_dict=True)
        tokens: list[int] = encoded["input_ids"]
        return tokens

    def example(self, prompt: Chat, completion: Chat, tools: Any) -> MaskedChat:
        """The tokens of a conversation and which of them are trained.

        Args:
            prompt: chat messages of which nothing is learnt, also of the assistant.
            completion: the messages that follow. What the assistant wrote of them is learnt, with
                the end-of-turn token; tool results and user turns between are not.
            tools: tool schemas in chat format, or None.

        Raises:
            RowError: when it cannot be told which tokens the assistant wrote.
        """
        if any(isinstance(message.get("content"), list) for message in [*prompt, *completion]):
            raise RowError("it has images, which are not trained here; leave it out")
        text = partial(self.render, tools=tools, tokenize=False)
        with refusals():
            whole = text(prompt + completion)
            if self.marked:
                encoded = self._marked(prompt + completion, tools)
                spans = [(turn_start(text, prompt, whole), len(whole))]
            else:
                encoded = self.tokenize(whole)
                spans = turn_spans(text, prompt, completion, whole)
        tokens, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
        marks = encoded.get("assistant_masks") or [1] * len(tokens)
        inside = (any(a <= start < b for a, b in spans) for start in starts)
        trained = bytes(int(m and i) for m, i in zip(marks, inside, strict=True))
        return MaskedChat(array("i", tokens), self.end_turns(tokens, trained))

    def _marked(self, messages: Chat, tools: Any) -> Any:
        return self.render(
            messages,
            tools=tools,
            return_dict=True,
            return_assistant_tokens_mask=True,
            tokenizer_kwargs={"return_offsets_mapping": True},
        )

    def end_turns(self, tokens: list[int], trained: bytes) -> bytes:
        """The mask with each turn ending in its end-of-turn token: there the model has to stop."""
        ended = bytearray(trained)
        for turn in re.finditer(b"\1+", trained):
            first, end = turn.span()
            last = end - 1
            while last > first and not self.decode(tokens[last]).strip():
                last -= 1
            if tokens[last] in self.special:
                ended[last + 1 : end] = bytes(end - last - 1)  # white space of the template
            elif tokens[end : end + 1] and tokens[end] in self.special:
                ended[end] = 1
            else:
                raise RowError(
                    "the chat template of the model puts no end-of-turn token after what the "
                    f"assistant wrote, so the model would never learn to stop; {REMEDY}"
                )
        return bytes(ended)


def turn_spans(
    text: Callable[..., str], prompt: Chat, completion: Chat, whole: str
) -> list[tuple[int, int]]:
    """(start, end) in characters of the assistant turns, for a template without markers."""
    spans = []
    for i, message in enumerate(completion):
        if message["role"] == "assistant":
            before = prompt + completion[:i]
            start = turn_start(text, before, whole)
            newest = text([*before, message])
            if not whole.startswith(newest) and (block := EMPTY_THINK.match(newest, start)):
                # Qwen3 adds this block to the newest turn only, which does no harm.
                newest = newest[:start] + newest[block.end() :]
            spans.append((start, length_of_start(newest, whole)))
    return spans


def turn_start(text: Callable[..., str], before: Chat, whole: str) -> int:
    """Where in the whole text the model begins to write, after the messages before."""
    header = text(before, add_generation_prompt=True)
    if not whole.startswith(header):
        # Some headers open a think block, which a turn without reasoning does not have.
        length_of_start(text(before), whole)
    return len(commonprefix([header, whole]))  # noqa: RUF071 (texts, not paths)


def length_of_start(start: str, whole: str) -> int:
    """The length of a text with which the whole has to begin."""
    if not whole.startswith(start):
        raise RowError(
            "the chat template of the model rewrites earlier turns when later ones follow, so what "
            "the model wrote cannot be told apart; make a row of each turn (prepare with "
            f"--per_turn), end the row before that, or {REMEDY}"
        )
    return len(start)
