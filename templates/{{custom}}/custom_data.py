"""Rows of training_data.jsonl -> tokens with a mask of what the model itself wrote.

A row is {"prompt": [messages], "completion": [messages], "tools": [OpenAI tools] or absent}.
"""

import random
import re
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from os.path import commonprefix
from pathlib import Path
from typing import Any, Literal

import jinja2
from pydantic import BaseModel, Field, ValidationError

from custom_settings import Settings, UserError
from dataprep.write import files_of

Chat = list[dict[str, Any]]
SHOWN = 20  # bad rows named in one message
EMPTY_THINK = re.compile(r"<think>\s*</think>\s*")
REMEDY = "give the tokenizer a chat template with {% generation %} markers around what is learnt"


class Function(BaseModel, extra="allow"):
    name: str
    arguments: dict[str, Any]


class ToolCall(BaseModel, extra="allow"):
    function: Function


class Message(BaseModel, extra="allow"):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None

    def extras(self) -> list[str]:
        """Texts beside the content that a chat template should show."""
        calls = [call.function.name for call in self.tool_calls or []]
        return [(self.reasoning_content or "").strip(), *calls]


class Row(BaseModel):
    prompt: list[Message] = Field(min_length=1)
    completion: list[Message] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None


class RowError(Exception):
    """Why one row cannot be used."""


@dataclass(frozen=True)
class Example:
    """One tokenised row. tokens: ids; trained: 1 where the model is to learn the token, else 0.

    incomplete: the chat template leaves out reasoning or tool calls of the completion.
    """

    tokens: "array[int]"
    trained: bytes
    incomplete: bool = False

    @property
    def trained_tokens(self) -> int:
        return sum(self.trained)


@dataclass
class Dataset:
    """The rows to train on, a checksum of their lines, and counts of all that were read."""

    examples: list[Example] = field(default_factory=list)
    checksum: int = 0
    read: int = 0
    overlong: int = 0
    untrained: int = 0
    incomplete: int = 0

    def add(self, example: Example, line: bytes, settings: Settings) -> None:
        """Count a row, and keep it unless it is too long or has nothing to learn."""
        self.read += 1
        self.incomplete += example.incomplete
        end = settings.max_length
        if len(example.tokens) > end:
            self.overlong += 1
            if settings.overlong == "drop":
                return
            example = Example(example.tokens[:end], example.trained[:end])
        if example.trained_tokens:
            self.examples.append(example)
            self.checksum = zlib.crc32(line, self.checksum)
        else:
            self.untrained += 1

    def counts(self, settings: Settings) -> str:
        """What became of the rows, in words."""
        fate = {"drop": "dropped", "cut": "cut"}[settings.overlong]
        lost = f"; the chat template leaves out reasoning or tool calls of {self.incomplete}"
        return (
            f"{self.read} read, {self.overlong} longer than {settings.max_length} tokens {fate}, "
            f"{self.untrained} with nothing to learn dropped, {len(self.examples)} to train on"
            f"{lost if self.incomplete else ''}"
        )


def load_dataset(path: Path, tokenizer: Any, settings: Settings) -> Dataset:
    """Read and tokenise the whole file, or its shards; UserError names the bad rows."""
    chat, data, problems = ChatTokenizer(tokenizer), Dataset(), []
    for file, number, line in lines_of(path):
        try:
            data.add(chat.example(Row.model_validate_json(line)), line, settings)
        except RowError as error:
            problems.append(f"{file}:{number}: {error}")
        except ValidationError as error:
            found = (f"{'.'.join(map(str, e['loc']))} {e['msg']}" for e in error.errors())
            problems.append(f"{file}:{number}: {'; '.join(found).strip()}; correct the row")
    if len(problems) > SHOWN:
        problems[SHOWN:] = [f"{len(problems) - SHOWN} more bad rows in {path}"]
    if not problems and not data.examples:
        problems = [f"{path} has no row to train on: {data.counts(settings)}"]
    if problems:
        raise UserError(*problems)
    return data


def lines_of(path: Path) -> Iterator[tuple[Path, int, bytes]]:
    """Lines that are not blank, each with its file and number, of a file or of its shards."""
    for file in files_of(path):
        with file.open("rb") as lines:
            yield from ((file, n, line) for n, line in enumerate(lines, 1) if line.strip())


class ChatTokenizer:
    """A Hugging Face tokenizer and what has to be known of its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.render, self.decode = tokenizer.apply_chat_template, tokenizer.decode
        self.marked = bool(re.search(r"\{%[-+]?\s*generation\b", tokenizer.get_chat_template()))
        added = tokenizer.added_tokens_decoder.items()
        self.special = {number for number, token in added if token.special}

    def example(self, row: Row) -> Example:
        """The tokens of a row and which of them are trained; RowError if that cannot be told."""
        prompt, completion = as_chat(row.prompt), as_chat(row.completion)
        text = partial(self.render, tools=row.tools, tokenize=False)
        try:
            encoded = self.render(
                prompt + completion,
                tools=row.tools,
                return_dict=True,
                return_assistant_tokens_mask=self.marked,
                tokenizer_kwargs={"return_offsets_mapping": True},
            )
            whole = text(prompt + completion)
            if self.marked:
                spans = [(turn_start(text, prompt, whole), len(whole))]
            else:
                spans = turn_spans(text, prompt, completion, whole)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise RowError(f"the chat template of the model refuses the row: {error}") from None
        tokens, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
        marks = encoded.get("assistant_masks") or [1] * len(tokens)
        inside = (any(a <= start < b for a, b in spans) for start in starts)
        trained = bytes(int(m and i) for m, i in zip(marks, inside, strict=True))
        shown = "".join(whole[a:b] for a, b in spans)
        incomplete = any(part not in shown for m in row.completion for part in m.extras())
        return Example(array("i", tokens), self.end_turns(tokens, trained), incomplete)

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
            f"the model wrote cannot be told apart; end the row before that, or {REMEDY}"
        )
    return len(start)


def as_chat(messages: list[Message]) -> Chat:
    """Messages as templates expect them: content is a string, and null keys are left out."""
    dumped = [{k: v for k, v in m.model_dump().items() if v is not None} for m in messages]
    return [{"content": "", **message} for message in dumped]


@lru_cache(maxsize=2)
def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """The rows of one epoch in a shuffled order that depends on seed and epoch only."""
    order = list(range(rows))
    random.Random(f"{seed}:{epoch}").shuffle(order)
    return order


def step_rows(rows: int, settings: Settings, step: int) -> list[int]:
    """The rows of one optimizer step (from 0) over all processes: epochs follow end to end."""
    first = step * settings.global_batch_size
    places = (divmod(i, rows) for i in range(first, first + settings.global_batch_size))
    return [epoch_order(rows, settings.seed, epoch)[place] for epoch, place in places]
