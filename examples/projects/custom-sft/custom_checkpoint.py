"""What a run leaves in output_dir: checkpoints to resume from, and the model in final/.

Both are written under another name and renamed when whole.
"""

import json
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.optim import Optimizer

from custom_data import Dataset
from custom_model import Policy, World, meta_model
from custom_settings import Settings
from dataprep.errors import UserError

# Saving from a single process, without a process group, is meant.
warnings.filterwarnings("ignore", "torch.distributed is disabled")


def checkpoints(output_dir: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    found = (p.parent for p in output_dir.glob("checkpoint-*/run.json"))
    return sorted(found, key=lambda p: int(p.name.removeprefix("checkpoint-")))


def run_facts(settings: Settings, data: Dataset) -> dict[str, int]:
    """What must stay the same for a resumed run to see each row as often as an unbroken one."""
    return {
        "data_checksum": data.checksum,
        "rows_per_step": settings.rows_per_step,
        "seed": settings.seed,
    }


def newest_checkpoint(output_dir: Path, facts: dict[str, int]) -> tuple[Path | None, int]:
    """The checkpoint to resume from and its step, (None, 0) if there is none.

    UserError if it was made from other data, batches or seed.
    """
    found = checkpoints(output_dir)
    if not found:
        return None, 0
    saved = json.loads((found[-1] / "run.json").read_text(encoding="utf-8"))
    changed = [
        f"{k} was {saved.get(k)} and is now {v}" for k, v in facts.items() if saved.get(k) != v
    ]
    if changed:
        raise UserError(
            f"Cannot resume from {found[-1]}: {', '.join(changed)}.",
            "Put that back, or start anew with another output_dir.",
        )
    return found[-1], int(saved["step"])


class Checkpoints:
    """Writes checkpoints while training goes on; all processes make the same calls.

    There is no random state to save: the loop seeds each step from its number.
    """

    def __init__(self, settings: Settings, facts: dict[str, int], world: World) -> None:
        self.settings, self.facts, self.world = settings, facts, world
        # The writer's messages must not meet those of training.
        self.group = dist.new_group(backend="gloo") if world.size > 1 else None
        self.writing: Future[Any] | None = None
        if world.main:  # what killed runs left
            for partial in settings.output_dir.glob(".checkpoint-*.partial"):
                shutil.rmtree(partial)

    def save(self, policy: Policy, optimizer: Optimizer, step: int) -> None:
        """Copy the state after so many steps, and begin to write it."""
        self.finish()
        target = self.settings.output_dir / f"checkpoint-{step}"
        partial = target.with_name(f".{target.name}.partial")
        weights, moments = get_state_dict(policy.model, optimizer)
        state = {"model": weights, "optimizer": moments}
        with saving(target, partial):
            writing: Any = async_save(state, checkpoint_id=partial, process_group=self.group)
        self.writing, self.newest = writing, (partial, target, step)

    def look(self) -> None:
        """Between steps: give a checkpoint that has been written its name."""
        if self.writing and self.writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait for a checkpoint that is being written."""
        if self.writing:
            (partial, target, step), writing = self.newest, self.writing
            self.writing = None
            with saving(target, partial):
                writing.result()  # when all processes have written their part
                if self.world.main:
                    run = json.dumps({"step": step, **self.facts})
                    (partial / "run.json").write_text(run, "utf-8")
                    partial.rename(target)
                    for old in checkpoints(target.parent)[: -self.settings.keep_checkpoints]:
                        shutil.rmtree(old)


@contextmanager
def saving(target: Path, partial: Path) -> Iterator[None]:
    """Say in words what stops the writing, and remove what was written so far."""
    try:
        yield
    # torch raises CheckpointException, which is no Exception, for a failure of any process.
    except (Exception, CheckpointException) as error:
        shutil.rmtree(partial, ignore_errors=True)
        *_, reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"Cannot write {target}: {reason[:300]}.",
            "Earlier checkpoints are whole: make room, and go on with --resume.",
            exit_code=1,
        ) from error


def load_checkpoint(policy: Policy, optimizer: Optimizer, checkpoint: Path) -> None:
    """Fill model and optimizer; the number of processes may differ from that of the writer."""
    weights, moments = get_state_dict(policy.model, optimizer)
    load({"model": weights, "optimizer": moments}, checkpoint_id=checkpoint)
    set_state_dict(policy.model, optimizer, model_state_dict=weights, optim_state_dict=moments)


def export_model(policy: Policy, tokenizer: Any, target: Path, dtype: str, world: World) -> None:
    """Write a Hugging Face folder, whole or not at all; all processes call it."""
    partial = target.with_name(f".{target.name}.partial")
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(policy.model, options=options)
    if world.main:
        kind = getattr(torch, dtype)
        shell = meta_model(policy.model.config, kind)
        shell.generation_config = policy.model.generation_config
        tied = shell.all_tied_weights_keys  # a shared weight is stored once, under its main name
        kept = {name: w.to(kind) for name, w in weights.items() if name not in tied}
        with saving(target, partial):
            shutil.rmtree(partial, ignore_errors=True)
            shell.save_pretrained(partial, state_dict=kept)
            tokenizer.save_pretrained(partial)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    world.wait()
