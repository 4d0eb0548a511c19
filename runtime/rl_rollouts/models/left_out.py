"""What a chat template leaves out of a row, and what is learned that the model did not write.

Looked at is a copy of the row in which every part is a word of its own: a name that stands in the
question too, or a text that is written with escapes, would mislead. The copy goes the way of the
row itself, through the same template and tokenizer, and what is learned of it is decoded. Rows with
the same parts have the same copy, so that most of them need no second look.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .chat_masks import Chat, MaskedChat, RowError
from .copies import Copy, Lost, Part

Learn = Callable[[Chat, Sequence[Chat], Any], list[MaskedChat]]
"""How a trainer makes sequences of prompt, completions and tools. Raises RowError."""
WORDS: dict[Lost, tuple[str, str]] = {
    "tools": (
        "the model is not shown the tools: the chat template leaves out their schemas",
        "Take a chat template that writes tools, or rows without them.",
    ),
    "turn": ("a whole turn of the model is not learned", "Take another chat template."),
    "text": ("text of the model beside its calls is not learned", "Take another chat template."),
    "reasoning": (
        "the model's reasoning is not learned",
        "Prepare with --reasoning tags, or take a chat template that writes reasoning_content.",
    ),
    "thought": (
        "the model's reasoning between think tags is not learned",
        "Take a chat template that leaves the text as it is.",
    ),
    "earlier reasoning": (
        "the model's reasoning is not learned but in the last turn",
        "Prepare with --per_turn: each turn of the model becomes a row of its own.",
    ),
    "call": ("calls of tools are not learned", "Take a chat template that writes tool calls."),
    "arguments": (
        "the arguments of calls are not learned",
        "Take a chat template that writes them, or prepare with --arguments text.",
    ),
    "shown": (
        "a turn before what is learned (system, user, tool result, earlier turn of the model) is "
        "not shown to the model, or not whole",
        "Take another chat template, or leave that turn out (`change` in prepare_for_*.py).",
    ),
    "foreign": (
        "the model learns what it did not write: tool results, or turns of others",
        "Prepare with --per_turn (pairs: without --whole), so that a completion is one turn.",
    ),
    "python": (
        "arguments of calls are learned as Python writes them, in single quotes",
        "Prepare with --arguments text.",
    ),
    "quoted": (
        "arguments of calls are learned as JSON in a string, with escaped quotes",
        "Prepare with --arguments object.",
    ),
    "stop": (
        "no end of the turn is learned, so that the model would never stop",
        "Take a chat template that ends turns with a special token, within its marks.",
    ),
}
"""What is said of each, and what to do."""
THOUGHTS = {"reasoning", "thought"}
MOST = 10_000
"""Copies whose answer is kept."""


class LeftOut:
    """Asks what is lost of rows; the same answer for all with the same parts."""

    def __init__(self, learn: Learn, tokenizer: Any, *, whole: bool = False) -> None:
        self.learn, self.decode, self.whole = learn, tokenizer.decode, whole
        added = getattr(tokenizer, "added_tokens_decoder", {}).items()
        self.ends = {number for number, token in added if token.special}
        self.ends.add(tokenizer.eos_token_id)
        self.known: dict[bytes, frozenset[Lost]] = {}

    def __call__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> frozenset[Lost]:
        copy = Copy(prompt, sides, tools)
        key = copy.key()
        if key not in self.known:
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[key] = frozenset(self._found(copy))
        return self.known[key]

    def _found(self, copy: Copy) -> Iterator[Lost]:
        try:
            learned = self.learn(copy.prompt, copy.sides, copy.tools)
        except RowError:
            return  # the row itself was taken
        for at, each in enumerate(learned):
            text = self.decode(list(each.tokens))
            taught = "\n".join(map(self.decode, _runs(each)))
            yield from _unseen(copy, text, taught, whole=self.whole)
            if copy.sides:
                yield from _of_side(copy.side_parts[at], text, taught, whole=self.whole)
                if not self.whole and copy.sides[at][-1:] and self._endless(each):
                    yield "stop"

    def _endless(self, each: MaskedChat) -> bool:
        """Whether the last that is learned ends no turn."""
        kept = [token for token, on in zip(each.tokens, each.trained, strict=True) if on]
        last = next((token for token in reversed(kept) if self.decode([token]).strip()), None)
        return last is not None and last not in self.ends


def _runs(each: MaskedChat) -> Iterator[list[int]]:
    for run in re.finditer(b"\1+", each.trained):
        yield list(each.tokens[slice(*run.span())])


def _unseen(copy: Copy, text: str, taught: str, *, whole: bool) -> Iterator[Lost]:
    """Of what stands before the completion."""
    if any(part.word not in text for part in copy.tool_parts):
        yield "tools"
    # Reasoning of earlier turns is left out when the model is asked, too.
    told = [part for part in copy.prompt_parts if part.kind not in THOUGHTS]
    if any(part.word not in text for part in told):
        yield "shown"
    if not whole and any(part.word in taught for part in told):
        yield "foreign"


def _of_side(parts: list[Part], text: str, taught: str, *, whole: bool) -> Iterator[Lost]:
    others = [part for part in parts if not part.model]
    if any(part.word not in text for part in others):
        yield "shown"
    if not whole and any(part.word in taught for part in others):
        yield "foreign"
    own = [part for part in parts if part.model]
    missing = [part for part in own if part.word not in taught]
    spoken = {part.turn for part in own if part.kind == "text"}
    silent = spoken - {part.turn for part in own if part not in missing}
    if silent:
        yield "turn"
    last = max((part.turn for part in own), default=0)
    at_the_end = any(part.turn == last and part.kind in THOUGHTS for part in missing)
    for part in (each for each in missing if each.turn not in silent):
        earlier = part.kind in THOUGHTS and part.turn < last and not at_the_end
        yield "earlier reasoning" if earlier else part.kind
    for part in own:
        if part.form and part.form in taught:
            yield "python" if part.form.startswith("{'") else "quoted"
