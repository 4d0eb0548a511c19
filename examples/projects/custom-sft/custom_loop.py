"""The training loop: items -> loss -> gradient -> AdamW, with the mean over all processes."""

import math
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer

from custom_checkpoint import Checkpoints, export_model, newest_checkpoint
from custom_data import Dataset, Item, collate, forward_passes, load_dataset, step_rows, summary
from custom_log import RunLog
from custom_loss import LOSSES, weight_of
from custom_model import Policy, World, join_world, load_policy
from custom_rollouts import Rollouts
from custom_settings import Settings, problems_of
from rl_rollouts.config import refuse
from rl_rollouts.errors import UserError
from rl_rollouts.models.folders import check_model, load_tokenizer
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.rewards.trial import try_out


class TorchTrainer:
    """The trainer of this folder, as `rl_rollouts.trainers` describes one."""

    def check(self, data: Path, config: Settings) -> None:
        """Tokenise everything and say what will be trained. What takes seconds is checked first."""
        if problems := list(problems_of(config, data)):
            raise refuse(problems)
        check_model(config.model_name_or_path)
        self.tokenizer = load_tokenizer(config.model_name_or_path)
        self.rows = load_dataset(data, self.tokenizer, config)
        newest_checkpoint(config, self.rows)
        said = [summary(config, self.rows)]
        if config.online:
            said.append(try_out((each.row for each in self.rows.rows), load_score(config.rewards)))
        if os.environ.get("RANK", "0") == "0":
            print(*filter(None, said), sep="\n", flush=True)

    def train(self, data: Path, config: Settings) -> Path:
        """Train to output_dir/final, from the model or, to resume, the newest checkpoint if any."""
        self.check(data, config)
        with ExitStack() as at_the_end:
            run(config, self.rows, self.tokenizer, at_the_end)
        return config.output_dir / "final"


def run(settings: Settings, data: Dataset, tokenizer: Any, at_the_end: ExitStack) -> None:
    """All optimizer steps that are left, then the final model."""
    sigterm, world, total = note_sigterm(), join_world(), settings.total_steps(len(data.rows))
    at_the_end.callback(dist.destroy_process_group)
    policy = load_policy(settings, world)
    reference = load_policy(settings, world).eval().requires_grad_(False) if settings.pull else None
    optimizer, saved = make_optimizer(policy, settings), Checkpoints(settings, data, world)
    rollouts = Rollouts(settings, world, policy, tokenizer) if settings.online else None
    done = saved.resume(policy, optimizer)
    log = RunLog(settings, policy.model, done, total, world) if world.rank == 0 else None
    if log:
        at_the_end.callback(log.close)
    for step in range(done, total):
        # A function of the step, so that a resumed run needs no saved random state.
        torch.manual_seed(settings.seed + 1_000_003 * step + world.rank)
        rows = [data.rows[i] for i in step_rows(len(data.rows), settings, step)]
        items, values = rollouts(rows) if rollouts else (rows, {})
        values |= backward(policy, reference, items, settings, world)
        values |= update(policy, optimizer, settings, step, total, values["loss"])
        if log:
            log.step(step + 1, values, items)
        saved.finish(wait=False)
        last, every = step + 1 == total, settings.save_steps
        stopped = not last and world.total(torch.tensor(float(sigterm.is_set()))) > 0
        if stopped or (every and (last or (step + 1) % every == 0)):
            saved.save(policy, optimizer, step + 1)
        if stopped:
            saved.finish()
            raise UserError(f"Stopped after step {step + 1}.", "Go on: --resume.", exit_code=143)
    saved.finish()
    export_model(policy, tokenizer, settings.output_dir / "final", settings.dtype, world)


def note_sigterm() -> Event:
    """Set by SIGTERM, which clusters send before they end a job; often twice, because torchrun
    passes on what each process was sent already. SIGKILL ends it at once."""
    noted = Event()
    signal.signal(signal.SIGTERM, lambda *_: noted.set())
    return noted


def backward(
    policy: Policy, reference: Policy | None, items: list[Item], settings: Settings, world: World
) -> dict[str, float]:
    """Gradient of the mean loss over one global batch; that loss, and what else is logged.

    The mean is over the weight of the whole batch, so it does not depend on how the batch is
    spread over micro batches and processes.
    """
    weight, sums = weight_of(items, settings), dict[str, Tensor]()
    for part in forward_passes(items, settings, world.rank, world.size):
        batch = collate(part, settings, world.device)
        with world.autocast(settings):
            compared = reference(batch) if reference else None
            found = LOSSES[settings.algorithm](policy(batch), compared, batch, settings)
        # FSDP divides the sum of the gradients by the number of processes.
        torch.autograd.backward(found["loss"] * (world.size / weight))
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    means = world.total(torch.stack(list(sums.values()))) / weight
    return dict(zip(sums, means.tolist(), strict=True))


def update(
    policy: Policy, optimizer: Optimizer, settings: Settings, step: int, total: int, loss: float
) -> dict[str, float]:
    """Optimizer step number `step` (from 0); its rate, and the gradient's L2 norm before clipping.

    UserError, and no step, if that norm or the loss is not finite.
    """
    found = nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
    norm = (found.full_tensor() if isinstance(found, DTensor) else found).item()
    if not math.isfinite(loss + norm):
        said = f"Step {step + 1}: loss {loss}, gradient norm {norm}; the step was not taken."
        remedy = "Lower learning_rate or raise warmup_ratio, and start anew or --resume."
        raise UserError(said, remedy, exit_code=1)
    rate = learning_rate(settings, step, total)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"grad_norm": norm, "learning_rate": rate}


def make_optimizer(policy: Policy, settings: Settings) -> Optimizer:
    """AdamW with weight decay on matrices only: norms and biases are vectors."""
    weights = list(policy.parameters())
    matrices = {"params": [p for p in weights if p.ndim > 1], "weight_decay": settings.weight_decay}
    vectors = {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0}
    return AdamW([matrices, vectors], lr=settings.learning_rate, fused=True)


def learning_rate(settings: Settings, step: int, total: int) -> float:
    """Rate of one step (from 0): linear warm-up, then the fall of the scheduler."""
    warmup = math.ceil(settings.warmup_ratio * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    past = (step - warmup) / (total - warmup)
    falls = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + math.cos(math.pi * past)) / 2}
    return settings.learning_rate * falls[settings.lr_scheduler]
