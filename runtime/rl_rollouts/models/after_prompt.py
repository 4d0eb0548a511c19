"""Rows as trainers learn them that put the loss on all that follows the prompt.

Of a completion with tool results that is too much: there a chat template has to mark what the model
writes ({% generation %}), and the loss falls on what is marked.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from .chat_masks import Chat, MaskedChat, RowError, refusals


class AfterPrompt:
    """Prompt, completions and tools of a row -> a sequence of tokens for each completion.

    A completion begins where its tokens part from those of the prompt alone, which ends with the
    header of the model's turn.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: str | None = None,
        *,
        marked: bool = False,
        whole: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin.

        Args:
            template: in place of the tokenizer's own.
            marked: learn only what the chat template marks.
            whole: prompts are learned too, or judged, as a reward model does.
            options: what else the chat template is told.
        """
        self.options = dict(options or {})
        self.render, self.template = tokenizer.apply_chat_template, template
        self.marked, self.whole = marked, whole

    def __call__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> list[MaskedChat]:
        """The sequences of a row; of one without completions the prompt, as it is asked.

        Raises:
            RowError: when the chat template does not take the messages, or marks nothing.
        """
        with refusals():
            found = [self._encoded(prompt + side, tools, marked=self.marked) for side in sides]
            asked: Sequence[int] = []
            if not (sides and self.whole):
                asked = self._encoded(prompt, tools, add_generation_prompt=True)["input_ids"]
        if not sides:
            return [MaskedChat(array("i", asked), bytes(len(asked)))]
        start = min(_common(asked, each["input_ids"]) for each in found)
        return [_masked(each, start) for each in found]

    def _encoded(self, messages: Chat, tools: Any, *, marked: bool = False, **options: Any) -> Any:
        return self.render(
            messages,
            tools=tools,
            chat_template=self.template,
            return_dict=True,
            return_assistant_tokens_mask=marked,
            **self.options,
            **options,
        )


def _masked(encoded: Any, start: int) -> MaskedChat:
    tokens = encoded["input_ids"]
    marks = encoded.get("assistant_masks")
    if marks is not None and 1 not in marks:
        raise RowError("the chat template marks none of it as the model's words; leave it out")
    after = b"\1" * (len(tokens) - start) if marks is None else bytes(marks[start:])
    return MaskedChat(array("i", tokens), bytes(start) + after)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """With how many of the same tokens both begin."""
    if other[: len(one)] == one:
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
