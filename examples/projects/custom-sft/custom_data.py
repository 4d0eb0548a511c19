"""Rows of training_data.jsonl -> what a training step takes, and in which order.

dataprep/schemas/ describes the rows: sft.json, preference.json for dpo, prompts.json for grpo.
"""

import random
import zlib
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from custom_chat import Chat, ChatTokenizer, Example, RowError
from custom_settings import Settings, refuse
from dataprep.validate import rows
from prepare_for_custom import KINDS

SHOWN = 20  # bad rows named in one message
COMPLETIONS = {"sft": ("completion",), "dpo": ("chosen", "rejected")}
Row = dict[str, Any]
Item = tuple[Example, ...]
"""What counts as one: a sequence, or for dpo the chosen and the rejected one."""


@dataclass(frozen=True)
class Prompt:
    """A task for grpo."""

    tokens: "array[int]"
    messages: Chat
    ground_truth: Any
    metadata: dict[str, Any]


@dataclass
class Dataset:
    """The rows to train on, a checksum of their lines, and counts of all that were read."""

    items: list[Item] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    """For grpo, in place of items."""
    checksum: int = 0
    read: int = 0
    overlong: int = 0
    untrained: int = 0
    incomplete: int = 0
    with_tools: int = 0

    def __len__(self) -> int:
        return len(self.items) or len(self.prompts)

    def add(self, row: Row, line: bytes, chat: ChatTokenizer, settings: Settings) -> None:
        """Tokenise and count a row; keep it unless it is too long or has nothing to learn."""
        self.read += 1
        add = self.add_prompt if settings.online else self.add_item
        if add(row, chat, settings):
            self.checksum = zlib.crc32(line, self.checksum)

    def add_prompt(self, row: Row, chat: ChatTokenizer, settings: Settings) -> bool:
        if row["tools"]:
            self.with_tools += 1
            return False
        tokens = array("i", chat.prompt(row["prompt"], None))
        if len(tokens) + settings.max_new_tokens > settings.max_length:
            self.overlong += 1
            return False
        self.prompts.append(Prompt(tokens, row["prompt"], row["ground_truth"], row["metadata"]))
        return True

    def add_item(self, row: Row, chat: ChatTokenizer, settings: Settings) -> bool:
        completions, end = COMPLETIONS[settings.algorithm], settings.max_length
        item = tuple(chat.example(row["prompt"], row[name], row["tools"]) for name in completions)
        self.incomplete += any(each.incomplete for each in item)
        if any(len(each.tokens) > end for each in item):
            self.overlong += 1
            if settings.overlong == "drop":
                return False
            item = tuple(Example(each.tokens[:end], each.trained[:end]) for each in item)
        if not all(each.trained_tokens for each in item):
            self.untrained += 1
            return False
        self.items.append(item)
        return True

    def counts(self, settings: Settings) -> str:
        """What became of the rows, in words."""
        limit, fate = f"{settings.max_length} tokens", settings.overlong
        if settings.online:
            limit, fate = f"{settings.max_length - settings.max_new_tokens} tokens", "drop"
        lost = f"; the chat template leaves out reasoning or tool calls of {self.incomplete}"
        return (
            f"{self.read} read, {self.overlong} longer than {limit} "
            f"{'dropped' if fate == 'drop' else 'cut'}, "
            f"{self.untrained} with nothing to learn dropped, "
            f"{f'{self.with_tools} with tools dropped, ' if self.with_tools else ''}"
            f"{len(self)} to train on{lost if self.incomplete else ''}"
        )


def load_dataset(path: Path, tokenizer: Any, settings: Settings) -> Dataset:
    """Read and tokenise the whole file, or its shards; UserError names the bad rows."""
    chat, data, problems = ChatTokenizer(tokenizer), Dataset(), []
    for row in rows(path, KINDS[settings.algorithm]):
        found = row.problems
        if not found:
            try:
                data.add(row.content, row.line, chat, settings)
            except RowError as error:
                found = [str(error)]
        if found:
            problems.append(f"{row.place}: {'; '.join(found)}")
    if len(problems) > SHOWN:
        problems[SHOWN:] = [f"{len(problems) - SHOWN} more bad rows in {path}"]
    if data.with_tools and settings.rows_with_tools == "refuse":
        problems.append(
            f"{data.with_tools} rows of {path} have tools, which are not run here: the model would "
            "be rewarded for answers without them; leave such rows out with rows_with_tools: drop"
        )
    if not problems and not len(data):
        problems = [f"{path} has no row to train on: {data.counts(settings)}"]
    if problems:
        raise refuse(problems)
    return data


@lru_cache(maxsize=2)
def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """The rows of one epoch in a shuffled order that depends on seed and epoch only."""
    order = list(range(rows))
    random.Random(f"{seed}:{epoch}").shuffle(order)
    return order


def step_rows(rows: int, settings: Settings, step: int) -> list[int]:
    """The rows of one optimizer step (from 0) over all processes: epochs follow end to end."""
    first = step * settings.rows_per_step
    places = (divmod(i, rows) for i in range(first, first + settings.rows_per_step))
    return [epoch_order(rows, settings.seed, epoch)[place] for epoch, place in places]
