"""The training loop: items -> loss -> gradient -> AdamW, with the mean over all processes."""

import math
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from custom_batch import collate, forward_passes
from custom_check import check, summary
from custom_checkpoint import (
    Checkpoints,
    export_model,
    load_checkpoint,
    newest_checkpoint,
    run_facts,
)
from custom_data import Dataset, Item, step_rows
from custom_log import RunLog
from custom_loss import ALGORITHMS
from custom_model import Policy, World, join_world, load_policy, load_reference
from custom_rollouts import Rollouts
from custom_settings import Settings
from dataprep.errors import UserError


class TorchTrainer:
    """The trainer of this folder, as trainer_protocol.py describes one."""

    def check(self, data: Path, config: Settings) -> None:
        """Read and tokenise everything, and say what will be trained."""
        self.tokenizer, self.rows = check(config, data)
        if config.resume:
            newest_checkpoint(config.output_dir, run_facts(config, self.rows))
        if os.environ.get("RANK", "0") == "0":
            print(summary(config, self.rows, self.tokenizer), flush=True)

    def train(self, data: Path, config: Settings) -> Path:
        self.check(data, config)
        return train(config, self.rows, self.tokenizer)


def train(settings: Settings, data: Dataset, tokenizer: Any) -> Path:
    """Train to output_dir/final, from the model or, to resume, the newest checkpoint if any."""
    facts, final = run_facts(settings, data), settings.output_dir / "final"
    checkpoint, done = (
        newest_checkpoint(settings.output_dir, facts) if settings.resume else (None, 0)
    )
    stop, world, total = Stop(), join_world(), settings.total_steps(len(data))
    with ExitStack() as at_the_end:
        at_the_end.callback(world.leave)
        if world.main:
            print(f"{settings.algorithm} in {world.size} process(es) on {world.device.type}")
        policy, reference = load_policy(settings, world), load_reference(settings, world)
        optimizer = make_optimizer(policy, settings)
        if checkpoint:
            load_checkpoint(policy, optimizer, checkpoint)
        saved = Checkpoints(settings, facts, world)
        rollouts = Rollouts(data, settings, world, policy, tokenizer) if settings.online else None
        log = at_the_end.enter_context(RunLog(settings, policy, done, total, world))
        for step in range(done, total):
            # A function of the step, so that a resumed run needs no saved random state.
            torch.manual_seed(settings.seed + 1_000_003 * step + world.rank)
            items, values = rollouts(step) if rollouts else (rows_of(data, settings, step), {})
            pad = tokenizer.pad_token_id or 0
            values |= backward(policy, reference, items, settings, world, pad)
            values["grad_norm"] = clip(policy, settings)
            stop_if_not_finite(step + 1, values)
            values["learning_rate"] = rate = learning_rate(settings, step, total)
            update(optimizer, rate)
            log.step(step + 1, values, items)
            saved.look()
            stopped = stop.asked(world) and step + 1 < total
            every = settings.save_steps
            if stopped or (every and ((step + 1) % every == 0 or step + 1 == total)):
                saved.save(policy, optimizer, step + 1)
            if stopped:
                saved.finish()
                raise UserError(
                    f"Stopped after step {step + 1}.", "Go on with --resume.", exit_code=143
                )
        saved.finish()
        export_model(policy, tokenizer, final, settings.dtype, world)
    return final


class Stop:
    """SIGTERM, which clusters send before they end a job, stops the run after the step.

    A second one ends it at once.
    """

    def __init__(self) -> None:
        self.here = False
        signal.signal(signal.SIGTERM, self.note)

    def note(self, *_: int | FrameType | None) -> None:
        self.here = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def asked(self, world: World) -> bool:
        """Whether any process got the signal; all of them call this."""
        return bool(world.total(torch.tensor(float(self.here))))


def rows_of(data: Dataset, settings: Settings, step: int) -> list[Item]:
    return [data.items[i] for i in step_rows(len(data), settings, step)]


def backward(
    policy: Policy,
    reference: Policy | None,
    items: list[Item],
    settings: Settings,
    world: World,
    pad_id: int,
) -> dict[str, float]:
    """Gradient of the mean loss over one global batch; that loss, and what else is logged.

    The mean is over the weight of the whole batch, so it does not depend on how the batch is
    spread over micro batches and processes.
    """
    algorithm = ALGORITHMS[settings.algorithm]
    weight = sum(map(algorithm.weight, items))
    sums: dict[str, Tensor] = {}
    for rows in forward_passes(items, settings, world.rank, world.size):
        batch = collate(rows, settings, pad_id, policy.flat)
        batch = {name: tensor.to(world.device) for name, tensor in batch.items()}
        with world.autocast(settings):
            with torch.no_grad():
                compared = reference(batch) if reference else None
            found = algorithm.loss(policy(batch), compared, batch, settings)
        # FSDP divides the sum of the gradients by the number of processes.
        torch.autograd.backward(found["loss"] * (world.size / weight))
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    means = world.total(torch.stack(list(sums.values()))) / weight
    return dict(zip(sums, means.tolist(), strict=True))


def clip(policy: nn.Module, settings: Settings) -> float:
    """Scale the gradient down to max_grad_norm; the L2 norm it had before."""
    norm = nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
    return (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()


def stop_if_not_finite(step: int, values: dict[str, float]) -> None:
    loss, norm = values["loss"], values["grad_norm"]
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise UserError(
            f"Step {step}: loss {loss}, gradient norm {norm}; the step was not taken.",
            "Lower learning_rate or raise warmup_ratio, and start anew or --resume.",
            exit_code=1,
        )


def update(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One optimizer step at this learning rate; the gradient is gone after it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def make_optimizer(policy: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices only: norms and biases are vectors."""
    weights = [p for p in policy.parameters() if p.requires_grad]
    matrices, vectors = [p for p in weights if p.ndim > 1], [p for p in weights if p.ndim <= 1]
    decays = ((matrices, settings.weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in decays if params]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(settings: Settings, step: int, total: int) -> float:
    """Rate of one step (from 0): linear warm-up, then the fall of the scheduler."""
    warmup = math.ceil(settings.warmup_ratio * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    past = (step - warmup) / (total - warmup)
    falls = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + math.cos(math.pi * past)) / 2}
    return settings.learning_rate * falls[settings.lr_scheduler]
