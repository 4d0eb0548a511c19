"""The losses, one function each; the loop makes the mean over an optimizer step of them.

And the log-probabilities that they are made of, in chunks.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, logsigmoid

from custom_data import Batch, Item
from custom_settings import Settings

Sums = dict[str, Tensor]
"""Sums (not means) over a micro batch, float32 scalars: `loss`, and what else is logged."""
Loss = Callable[[Tensor, Tensor | None, Batch, Settings], Sums]
"""From the log-probabilities of the trained tokens, (trained tokens,) in nats: those of the model,
with gradient, and those of the reference model if there is one."""


def sft(logprobs: Tensor, *_: object) -> Sums:
    """Cross entropy of the trained tokens."""
    return {"loss": -logprobs.sum()}


def dpo(logprobs: Tensor, reference: Tensor | None, batch: Batch, settings: Settings) -> Sums:
    """Direct preference optimisation, arXiv:2305.18290, equation 7."""
    assert reference is not None
    gained = torch.split(logprobs - reference, batch["counts"].tolist())
    chosen, rejected = settings.pull * torch.stack([each.sum() for each in gained]).view(-1, 2).T
    return {
        "loss": -logsigmoid(chosen - rejected).sum(),
        "rewards/chosen": chosen.sum(),
        "rewards/rejected": rejected.sum(),
        "rewards/margins": (chosen - rejected).sum(),
        "rewards/accuracies": (chosen > rejected).float().sum(),
    }


def grpo(logprobs: Tensor, reference: Tensor | None, batch: Batch, settings: Settings) -> Sums:
    """Group relative policy optimisation, arXiv:2402.03300; by default as a mean over all tokens.

    `sampled` is what a server says of its tokens; without one they were sampled from this model.
    """
    counts = batch["counts"]
    over = counts if settings.loss == "response_mean" else torch.ones_like(counts)
    advantages, over = (each.repeat_interleave(counts) for each in (batch["advantages"], over))
    ratio = torch.exp(logprobs - batch.get("sampled", logprobs.detach()))
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    loss = -torch.minimum(ratio * advantages, clipped * advantages)
    terms = {"clip_ratio": (clipped * advantages < ratio * advantages).float()}
    if reference is not None:
        gap = reference - logprobs
        divergence = gap.exp() - gap - 1  # of the paper's equation 4: no value is negative
        loss, terms["kl"] = loss + settings.pull * divergence, divergence
    return {name: (value / over).sum() for name, value in {"loss": loss, **terms}.items()}


LOSSES: dict[str, Loss] = {"sft": sft, "dpo": dpo, "grpo": grpo}


def weight_of(items: list[Item], settings: Settings) -> int:
    """What the losses of a step are summed over, to be divided by: pairs, responses or tokens."""
    if settings.algorithm == "dpo" or (settings.online and settings.loss == "response_mean"):
        return len(items)
    return sum(sum(each.trained) for item in items for each in item)


def in_chunks(*inputs: Any) -> Tensor:
    """Log-probabilities of targets from hidden states, with the logits of a chunk at a time.

    Args:
        inputs: hidden states, weight and bias of the head, targets, tokens of a chunk, temperature.
    """
    return InChunks.apply(*inputs)  # type: ignore[no-any-return, no-untyped-call]


class InChunks(torch.autograd.Function):
    """The gradient of the head is summed in float32: in bfloat16 much of it would be lost."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        *tensors, ctx.chunk, ctx.temperature = inputs
        ctx.save_for_backward(*tensors)
        hidden, weight, bias, targets = tensors
        found = []
        for part, wanted in zip(hidden.split(ctx.chunk), targets.split(ctx.chunk), strict=True):
            scores = linear(part, weight, bias)
            ctx.dtype, scores = scores.dtype, scores.float() / ctx.temperature
            found.append(-cross_entropy(scores, wanted, reduction="none"))
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        hidden, weight, bias, targets = ctx.saved_tensors
        head, shift = weight.to(ctx.dtype), None if bias is None else bias.to(ctx.dtype)
        of_hidden, of_head = torch.empty_like(hidden), torch.zeros_like(weight, dtype=torch.float32)
        of_shift = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        split = (each.split(ctx.chunk) for each in (hidden, targets, grads[0], of_hidden))
        for part, wanted, grad, back in zip(*split, strict=True):
            low, slope = part.to(ctx.dtype), grad[:, None] / ctx.temperature
            scores = (linear(low, head, shift).float() / ctx.temperature).softmax(-1).mul_(-slope)
            found = scores.scatter_add_(1, wanted[:, None], slope).to(ctx.dtype)
            back.copy_(found @ head)
            of_head += found.T @ low
            if of_shift is not None:
                of_shift += found.sum(0)
        shifted = None if of_shift is None else of_shift.to(bias.dtype)
        return of_hidden, of_head.to(weight.dtype), shifted, None, None, None
