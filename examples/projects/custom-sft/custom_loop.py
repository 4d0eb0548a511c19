"""The training loop: batch -> loss -> gradient -> AdamW, with the mean over all processes."""

import math
from contextlib import ExitStack
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

from custom_checkpoint import (
    export_model,
    load_checkpoint,
    newest_checkpoint,
    run_facts,
    save_checkpoint,
)
from custom_data import Dataset, Example, step_rows
from custom_log import RunLog
from custom_loss import ALGORITHMS
from custom_model import World, join_world, load_model
from custom_settings import Settings, TrainingStoppedError


def train(settings: Settings, data: Dataset, tokenizer: Any, resume: bool) -> None:
    """Train to output_dir/final, from the model or, with resume, the newest checkpoint if any."""
    facts = run_facts(settings, data)
    checkpoint, done = newest_checkpoint(settings.output_dir, facts) if resume else (None, 0)
    world, total = join_world(), settings.total_steps(len(data.examples))
    with ExitStack() as at_the_end:
        at_the_end.callback(world.leave)
        if world.main:
            print(f"{settings.algorithm} in {world.size} process(es) on {world.device.type}")
        model = load_model(settings, world)
        optimizer = make_optimizer(model, settings)
        if checkpoint:
            load_checkpoint(model, optimizer, checkpoint)
        log = at_the_end.enter_context(RunLog(settings, done, total)) if world.main else None
        for step in range(done, total):
            examples = [data.examples[i] for i in step_rows(len(data.examples), settings, step)]
            # A function of the step, so that a resumed run needs no saved random state.
            torch.manual_seed(settings.seed + 1_000_003 * step + world.rank)
            loss = backward(model, examples, settings, world, tokenizer.pad_token_id or 0)
            grad_norm = clip(model, settings)
            stop_if_not_finite(step + 1, loss, grad_norm)
            rate = learning_rate(settings, step, total)
            update(optimizer, rate)
            if log:
                log.step(step + 1, loss, rate, grad_norm, sum(len(e.tokens) for e in examples))
            if (every := settings.save_steps) and ((step + 1) % every == 0 or step + 1 == total):
                save_checkpoint(model, optimizer, {"step": step + 1, **facts}, settings, world)
        export_model(model, tokenizer, settings, world)


def backward(
    model: nn.Module, examples: list[Example], settings: Settings, world: World, pad_id: int
) -> float:
    """Gradient of the mean loss over one global batch, and that loss.

    The mean is over the weight of the whole batch, so it does not depend on how the batch is
    spread over micro batches and processes.
    """
    algorithm, micro = ALGORITHMS[settings.algorithm], settings.micro_batch_size
    weight = sum(map(algorithm.weight, examples))
    total = torch.zeros((), device=world.device)
    # FSDP has a precision policy of its own; autocast is for the single process.
    low = settings.dtype == "bfloat16" and world.size == 1
    for first in range(world.rank * micro, len(examples), world.size * micro):
        batch = algorithm.batch(examples[first : first + micro], pad_id)
        batch = {name: tensor.to(world.device) for name, tensor in batch.items()}
        with torch.autocast(world.device.type, torch.bfloat16, enabled=low):
            loss = algorithm.loss(model, batch) / weight
        # FSDP divides the sum of the gradients by the number of processes.
        torch.autograd.backward(loss * world.size)
        total += loss.detach()
    if world.size > 1:
        dist.all_reduce(total)
    return total.item()


def clip(model: nn.Module, settings: Settings) -> float:
    """Scale the gradient down to max_grad_norm; the L2 norm it had before."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
    return (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()


def stop_if_not_finite(step: int, loss: float, grad_norm: float) -> None:
    if not math.isfinite(loss) or not math.isfinite(grad_norm):
        raise TrainingStoppedError(
            f"step {step}: loss {loss}, gradient norm {grad_norm}; the step was not taken. Lower "
            "learning_rate or raise warmup_ratio, and start anew or --resume from a checkpoint"
        )


def update(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One optimizer step at this learning rate; the gradient is gone after it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices only: norms and biases are vectors."""
    weights = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in weights if p.ndim > 1], [p for p in weights if p.ndim <= 1]
    decays = ((matrices, settings.weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in decays if params]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def learning_rate(settings: Settings, step: int, total: int) -> float:
    """Rate of one step (from 0): linear warm-up, then the fall of the scheduler."""
    warmup = math.ceil(settings.warmup_ratio * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    past = (step - warmup) / (total - warmup)
    falls = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + math.cos(math.pi * past)) / 2}
    return settings.learning_rate * falls[settings.lr_scheduler]
