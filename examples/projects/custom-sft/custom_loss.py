"""The losses, one Algorithm each; the loop makes the mean over an optimizer step of them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from custom_data import Example

Batch = dict[str, Tensor]


class Algorithm(NamedTuple):
    """How an algorithm turns examples into a loss."""

    weight: Callable[[Example], int]
    """What an example counts for in the mean over the optimizer step."""
    batch: Callable[[list[Example], int], Batch]
    """Examples and the padding id -> tensors of one micro batch."""
    loss: Callable[[nn.Module, Batch], Tensor]
    """Model and batch -> sum over the micro batch (not the mean), a float32 scalar."""


def sft_batch(examples: list[Example], pad_id: int) -> Batch:
    """tokens, attended, trained: (sequences, longest), padded on the right."""
    longest = max(len(e.tokens) for e in examples)
    gaps = [longest - len(e.tokens) for e in examples]
    rows = list(zip(examples, gaps, strict=True))
    return {
        "tokens": torch.tensor([[*e.tokens, *[pad_id] * gap] for e, gap in rows]),
        "attended": torch.tensor([[1] * len(e.tokens) + [0] * gap for e, gap in rows]),
        "trained": torch.tensor([[*e.trained, *[0] * gap] for e, gap in rows], dtype=torch.bool),
    }


def sft_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross entropy summed over the trained tokens, in nats."""
    output = model(batch["tokens"], attention_mask=batch["attended"], use_cache=False)
    learn = batch["trained"][:, 1:]
    # Only the positions that count are turned to float32: the logits are the peak of memory.
    logits = output.logits[:, :-1][learn].float()
    return cross_entropy(logits, batch["tokens"][:, 1:][learn], reduction="sum")


ALGORITHMS = {"sft": Algorithm(lambda example: example.trained_tokens, sft_batch, sft_loss)}
