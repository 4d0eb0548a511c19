"""How long training rows are in tokens, and what the trainer does with the long ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..data.rollout import Json
from ..data.tokens import Count, counter
from ..errors import SetAside, UserError
from ..survey.spread import Spread
from ..survey.summary import Figures
from .rows import sample_of
from .trainer import Trainer

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text, where there is no tokenizer."""
ANSWERS = ("completion", "chosen", "rejected", "response")
CONVERSATIONS = ("messages", "conversations", "input")


class Lengths(msgspec.Struct):
    """Tokens of training rows; of a row with several answers, those of the longest."""

    rows: int
    measured: int
    """A sample, if fewer than the rows."""
    tokenizer: str | None
    """None: estimated from characters."""
    why: str
    """Why they are estimated, or how many rows the chat template refused."""
    trainer: Trainer
    tokens: Figures | None
    long: int
    """Rows above the trainer's limit, scaled to all rows."""
    full: int
    """Of these, rows whose prompt alone reaches the limit."""

    @property
    def exact(self) -> bool:
        """Whether every row was measured with the tokenizer."""
        return self.measured == self.rows and self.tokenizer is not None


def measure(files: Sequence[Path], trainer: Trainer) -> Lengths:
    """Measure the rows of training data.

    Raises:
        UserError: for files that cannot be read, or rows that are no JSON objects.
    """
    rows, sample = sample_of(files)
    count, tokenizer, why = _counter(trainer)
    tokens, refused, long, full = Spread("log"), 0, 0, 0
    limit = trainer.limit or float("inf")
    for row in sample:
        try:
            prompt, whole = _tokens(row, count)
        except SetAside:
            refused += 1
            prompt, whole = _tokens(row, estimate)
        tokens.add(whole)
        long += whole > limit
        full += whole > limit and prompt >= limit
    if refused:
        why = f"the chat template refuses {refused} rows, which are estimated from characters"
    scale = rows / max(len(sample), 1)
    scaled = [round(each * scale) for each in (long, full)]
    return Lengths(rows, len(sample), tokenizer, why, trainer, tokens.figures(), *scaled)


def estimate(messages: list[Json], tools: Any) -> int:
    """Tokens by the number of characters."""
    text = msgspec.json.encode([messages, tools]).decode()
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _counter(trainer: Trainer) -> tuple[Count, str | None, str]:
    """How tokens are counted, with which tokenizer, and if with none, why."""
    model = trainer.model
    if model is None:
        return estimate, None, "the config names no model"
    try:
        return counter(model, download=False, template=trainer.template), model, ""
    except UserError as error:
        return estimate, None, error.problem


def _tokens(row: Json, count: Count) -> tuple[int, int]:
    """Tokens of the prompt, and of the prompt with the longest answer."""
    tools = row.get("tools")
    tools = tools if isinstance(tools, list) and tools else None
    prompt = _messages(row.get("prompt"), "user")
    answers = [_messages(row[key], "assistant") for key in ANSWERS if row.get(key)]
    if not prompt and not answers:
        answers = [_messages(row[key], "user") for key in CONVERSATIONS if row.get(key)]
    if not prompt and not answers:
        return 0, estimate([row], None)
    start = count(prompt, tools) if prompt else 0
    return start, max((count(prompt + answer, tools) for answer in answers), default=start)


def _messages(value: Any, role: str) -> list[Json]:
    """A conversation, also where it is one text."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return [each for each in value or [] if isinstance(each, dict)]
