"""Rows of training_data.jsonl -> optimizer steps -> forward passes, padded or packed.

rl_rollouts/schemas/ describes the rows: sft.json, preference.json for dpo, prompts.json for grpo.
"""

import random
import zlib
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from custom_settings import Settings, processes
from rl_rollouts.config import refuse
from rl_rollouts.frameworks import custom
from rl_rollouts.models.chat_masks import ChatTokenizer
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.survey.forecast import measured
from rl_rollouts.validate import Row, rows
from rl_rollouts.values import KINDS

COMPLETIONS = {"sft": ("completion",), "dpo": ("chosen", "rejected")}
TOOLS = "with tools"


class Example(NamedTuple):
    """One tokenised sequence."""

    tokens: "array[int]"
    trained: bytes
    """1 where the model is to learn the token, else 0."""
    advantage: float = 0.0
    """grpo: how much better than its group's mean the response was."""
    sampled: tuple[float, ...] | None = None
    """grpo: log-probability of each trained token where it was sampled, if a server did that."""


Item = tuple[Example, ...]
"""What counts as one: a sequence, or for dpo the chosen and the rejected one."""


class Prompt(NamedTuple):
    """A task for grpo."""

    tokens: "array[int]"
    row: dict[str, Any]
    """Its `prompt`, `ground_truth` and `metadata` are for the reward function."""


@dataclass
class Dataset:
    """The rows to train on, a checksum of their lines, and what became of all that were read."""

    found: Learned
    rows: list[Any] = field(default_factory=list)
    """Items; for grpo Prompts."""
    checksum: int = 0


def load_dataset(path: Path, tokenizer: Any, settings: Settings) -> Dataset:
    """Read and tokenise the whole file, or its shards; UserError names the bad rows."""
    data, problems = Dataset(learned_by(tokenizer, settings)), []
    for row in rows(path, KINDS[settings.algorithm]):
        if row.problems:
            problems.append(f"{row.place}: {'; '.join(row.problems)}")
        elif taken := take(row, data.found, settings):
            data.rows.append(taken)
            data.checksum = zlib.crc32(row.line, data.checksum)
    with_tools = data.found.skipped[TOOLS]
    if with_tools and settings.rows_with_tools == "refuse":
        what = f"{with_tools} rows of {path} have tools, which are not run here"
        problems.append(f"{what}; leave such rows out with rows_with_tools: drop")
    if problems:
        raise refuse([*problems, *data.found.refused])
    data.found.demand()
    return data


def learned_by(tokenizer: Any, settings: Settings) -> Learned:
    """How this trainer makes sequences of rows."""
    key = "max_length - max_new_tokens" if settings.online else "max_length"
    cut = settings.overlong == "cut" and not settings.online
    limit = Limit(key, settings.longest, "cut" if cut else "dropped")
    what = "prompts" if settings.online else "rows"
    options = {"enable_thinking": settings.thinking} if settings.online else {}
    return Learned(ChatTokenizer(tokenizer, **options), tokenizer, limit, what=what)


def take(row: Row, found: Learned, settings: Settings) -> Item | Prompt | None:
    """A row as an Item or Prompt, or None to leave it out."""
    prompt, tools = row.content["prompt"], row.content["tools"]
    if settings.online and tools:
        found.skip(TOOLS)
        return None
    sides = [row.content[name] for name in COMPLETIONS.get(settings.algorithm, ())]
    left = found.add(row.place, prompt, sides, tools)
    if left is None:
        return None
    if settings.online:
        return Prompt(left[0].tokens, row.content)
    return tuple(Example(*each) for each in left)


def summary(settings: Settings, data: Dataset) -> str:
    """What will be trained, in a few lines."""
    batch, micro, world = settings.global_batch_size, settings.micro_batch_size, processes()
    what = {"sft": "sequences", "dpo": "pairs", "grpo": "responses"}[settings.algorithm]
    passes = f"{micro} {what} x {batch // (micro * world)} forward passes"
    if settings.packing:
        passes = f"at most {micro * settings.max_length} tokens a forward pass"
    steps = measured(custom, settings.model_dump(), data.found).steps_in_words()
    return "\n".join([*data.found.lines(), *steps, f"step     {passes} x {world} processes"])


@lru_cache(maxsize=2)
def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """The rows of one epoch in a shuffled order that depends on seed and epoch only."""
    return random.Random(f"{seed}:{epoch}").sample(range(rows), rows)


def step_rows(rows: int, settings: Settings, step: int) -> list[int]:
    """The rows of one optimizer step (from 0) over all processes: epochs follow end to end."""
    first = step * settings.rows_per_step
    places = (divmod(i, rows) for i in range(first, first + settings.rows_per_step))
    return [epoch_order(rows, settings.seed, epoch)[place] for epoch, place in places]


def forward_passes(items: list[Item], settings: Settings, rank: int, size: int) -> list[list[Item]]:
    """What one process of `size` computes of a step: as many passes as every other."""
    micro = settings.micro_batch_size
    if settings.packing:
        return packed(items, micro * settings.max_length, size)[rank::size]
    mine = items[rank::size]
    return [mine[first : first + micro] for first in range(0, len(mine), micro)]


def packed(items: list[Item], size: int, processes: int) -> list[list[Item]]:
    """Passes of at most so many tokens, a multiple of the processes.

    Longest first, each item goes into the emptiest pass: all have about as many tokens, so that no
    process waits for another.
    """
    lengths = [sum(len(example.tokens) for example in item) for item in items]
    size = max(size, *lengths)  # a dpo pair is two sequences
    count = -(-sum(lengths) // (size * processes)) * processes
    while True:
        filled, passes = [0] * count, [list[Item]() for _ in range(count)]
        for i in sorted(range(len(items)), key=lambda i: -lengths[i]):
            emptiest = filled.index(min(filled))
            passes[emptiest].append(items[i])
            filled[emptiest] += lengths[i]
        if max(filled) <= size:
            return passes
        count += processes


Batch = dict[str, Any]
"""What `collate` makes, by its names."""


def collate(items: list[Item], settings: Settings, device: Any = "cpu") -> Batch:
    """The sequences of some items as tensors.

    tokens, trained     (sequences, longest), padded on the right, where no token sees the padding;
                        or packed: (1, all tokens), one sequence after the other
    positions, bounds   packed: (1, all tokens), from 0 in each sequence; (sequences + 1,), where
                        each begins and the last one ends
    longest             tokens of the longest sequence
    counts              (sequences,) trained tokens of each
    advantages          (sequences,), and sampled (trained tokens,) where a server sampled
    """
    examples = [example for item in items for example in item]
    tokens = [torch.tensor(each.tokens, dtype=torch.long) for each in examples]
    # The first token of a sequence follows nothing.
    trained = [torch.tensor([0, *each.trained[1:]], dtype=torch.bool) for each in examples]
    batch = {"counts": torch.stack([each.sum() for each in trained])}
    lengths = [len(each) for each in tokens]
    batch["advantages"] = torch.tensor([each.advantage for each in examples])
    if settings.packing:
        batch["tokens"], batch["trained"] = torch.cat(tokens)[None], torch.cat(trained)[None]
        batch["positions"] = torch.cat([torch.arange(len(each)) for each in tokens])[None]
        batch["bounds"] = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    else:
        batch["tokens"] = pad_sequence(tokens, batch_first=True)
        batch["trained"] = pad_sequence(trained, batch_first=True)
    if all(each.sampled for each in examples):
        batch["sampled"] = torch.tensor([p for each in examples for p in each.sampled or ()])
    moved = {name: tensor.to(device) for name, tensor in batch.items()}
    return moved | {"longest": max(lengths)}
