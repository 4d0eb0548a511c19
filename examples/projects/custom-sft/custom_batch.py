"""The items of one optimizer step -> the forward passes of one process, padded or packed."""

import heapq

import torch
from torch import Tensor

from custom_chat import Example
from custom_data import Item
from custom_settings import Settings

Batch = dict[str, Tensor]
Row = list[Item]


def forward_passes(
    items: list[Item], settings: Settings, rank: int, processes: int
) -> list[list[Row]]:
    """What one process computes of a step: as many passes as every other, each of some rows.

    A row is one item, or with packing as many as fit into it.
    """
    rows = (
        packed(items, settings.max_length, processes) if settings.packing else [[i] for i in items]
    )
    mine, micro = rows[rank::processes], settings.micro_batch_size
    return [mine[first : first + micro] for first in range(0, len(mine), micro)]


def packed(items: list[Item], size: int, processes: int) -> list[Row]:
    """Rows of at most so many tokens, a multiple of the processes.

    Longest first, each item goes into the emptiest row: all have about as many tokens, so that no
    process waits for another.
    """
    lengths = [sum(len(example.tokens) for example in item) for item in items]
    size = max(size, *lengths)  # a dpo pair is two sequences
    order = sorted(range(len(items)), key=lambda i: -lengths[i])
    count = -(-sum(lengths) // (size * processes)) * processes
    while True:
        heap = [(0, number) for number in range(count)]
        rows: list[list[int]] = [[] for _ in range(count)]
        for i in order:
            filled, number = heapq.heappop(heap)
            rows[number].append(i)
            heapq.heappush(heap, (filled + lengths[i], number))
        if max(heap)[0] <= size:
            return [[items[i] for i in sorted(row)] for row in rows]
        count += processes


def collate(rows: list[Row], settings: Settings, pad_id: int, flat: bool) -> Batch:
    """The sequences of some rows as tensors.

    tokens, trained     (rows, longest row), padded on the right, where no token sees the padding
    positions           the same, from 0 in each sequence, by which models tell them apart
    counts              (sequences,) trained tokens of each
    advantages          (sequences,), and sampled (trained tokens,) where a server sampled

    flat: all in one row without padding, as flash attention wants packed sequences.
    """
    lines = [[example for item in row for example in item] for row in rows]
    if not settings.packing:
        lines = [[example] for line in lines for example in line]
    examples = [example for line in lines for example in line]
    lines = [examples] if flat else lines
    longest = max(map(length, lines))
    tokens, trained, positions = [], [], []
    for line in lines:
        gap = longest - length(line)
        tokens.append([token for each in line for token in each.tokens] + [pad_id] * gap)
        # The first token of a sequence follows nothing.
        trained.append([mark for each in line for mark in (0, *each.trained[1:])] + [0] * gap)
        spans = [len(each.tokens) for each in line]
        spans[-1] += gap
        positions.append([position for span in spans for position in range(span)])
    batch = {
        "tokens": torch.tensor(tokens),
        "trained": torch.tensor(trained, dtype=torch.bool),
        "positions": torch.tensor(positions),
        "counts": torch.tensor([sum(each.trained[1:]) for each in examples]),
        "advantages": torch.tensor([each.advantage for each in examples]),
    }
    if all(each.sampled for each in examples):
        sampled = [value for each in examples for value in each.sampled or ()]
        batch["sampled"] = torch.tensor(sampled)
    return batch


def length(line: list[Example]) -> int:
    return sum(len(example.tokens) for example in line)
