"""The losses, one Algorithm each; the loop makes the mean over an optimizer step of them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from custom_batch import Batch
from custom_data import Item
from custom_settings import Settings

Sums = dict[str, Tensor]
"""Sums (not means) over a micro batch, float32 scalars: `loss`, and what else is logged."""


class Algorithm(NamedTuple):
    """How an algorithm judges a micro batch."""

    weight: Callable[[Item], int]
    """What an item counts for in the mean over the optimizer step."""
    loss: Callable[[Tensor, Tensor | None, Batch, Settings], Sums]
    """From the log-probabilities of the trained tokens, (trained tokens,) in nats: those of the
    model, with gradient, and those of the reference model if there is one."""


def sft(logprobs: Tensor, *_: object) -> Sums:
    """Cross entropy of the trained tokens."""
    return {"loss": -logprobs.sum()}


def dpo(logprobs: Tensor, reference: Tensor | None, batch: Batch, settings: Settings) -> Sums:
    """Direct preference optimisation, arXiv:2305.18290, equation 7."""
    assert reference is not None
    gained = torch.stack([each.sum() for each in torch.split(logprobs - reference, counts(batch))])
    chosen, rejected = settings.pull * gained.view(-1, 2).T
    return {
        "loss": -logsigmoid(chosen - rejected).sum(),
        "rewards/chosen": chosen.detach().sum(),
        "rewards/rejected": rejected.detach().sum(),
        "rewards/margins": (chosen - rejected).detach().sum(),
        "rewards/accuracies": (chosen > rejected).float().sum(),
    }


def grpo(logprobs: Tensor, reference: Tensor | None, batch: Batch, settings: Settings) -> Sums:
    """Group relative policy optimisation, arXiv:2402.03300, as a mean over all tokens.

    `sampled` is what a server says of its tokens; without one they were sampled from this model.
    """
    advantages = batch["advantages"].repeat_interleave(batch["counts"])
    ratio = torch.exp(logprobs - batch.get("sampled", logprobs.detach()))
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    loss = -torch.minimum(ratio * advantages, clipped * advantages)
    sums = {"clip_ratio": (clipped * advantages < ratio * advantages).float().sum()}
    if reference is not None:
        gap = reference - logprobs
        divergence = gap.exp() - gap - 1  # of the paper's equation 4: no value is negative
        loss, sums["kl"] = loss + settings.pull * divergence, divergence.detach().sum()
    return {"loss": loss.sum(), **sums}


def counts(batch: Batch) -> list[int]:
    """Trained tokens of each sequence."""
    found: list[int] = batch["counts"].tolist()
    return found


def trained_tokens(item: Item) -> int:
    return sum(example.trained_tokens for example in item)


ALGORITHMS = {
    "sft": Algorithm(trained_tokens, sft),
    "dpo": Algorithm(lambda _: 1, dpo),
    "grpo": Algorithm(trained_tokens, grpo),
}
