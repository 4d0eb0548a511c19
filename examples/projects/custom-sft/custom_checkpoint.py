"""What a run leaves in output_dir: checkpoints to resume from, and the model in final/.

Both are written under another name and renamed when whole.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as states
from torch.distributed.checkpoint import state_dict_loader as loader
from torch.distributed.checkpoint import state_dict_saver as saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.optim import Optimizer

from custom_data import Dataset
from custom_model import Policy, World, meta_model
from custom_settings import Settings
from rl_rollouts.errors import UserError


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def checkpoints(output_dir: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted((p.parent for p in output_dir.glob("checkpoint-*/run.json")), key=step_of)


def newest_checkpoint(settings: Settings, data: Dataset) -> Path | None:
    """The checkpoint to resume from; UserError if it is of other data, batches or seed."""
    found = checkpoints(settings.output_dir) if settings.resume else []
    if not found:
        return None
    saved, now = json.loads((found[-1] / "run.json").read_text("utf-8")), run_facts(settings, data)
    changed = [f"{k} was {saved.get(k)} and is now {now[k]}" for k in now if saved.get(k) != now[k]]
    if changed:
        said = f"Cannot resume from {found[-1]}: {', '.join(changed)}."
        raise UserError(said, "Put that back, or start anew with another output_dir.")
    return found[-1]


def run_facts(settings: Settings, data: Dataset) -> dict[str, int]:
    """What must stay the same for a resumed run to see each row as often as an unbroken one."""
    return {
        "data_checksum": data.checksum,
        "rows_per_step": settings.rows_per_step,
        "seed": settings.seed,
    }


class Checkpoints:
    """Writes checkpoints while training goes on; all processes make the same calls.

    There is no random state to save: the loop seeds each step from its number.
    """

    def __init__(self, settings: Settings, data: Dataset, world: World) -> None:
        self.settings, self.data, self.world = settings, data, world
        # The writer's messages must not meet those of training.
        self.group = dist.new_group(backend="gloo")
        self.writing: Any = None
        if world.rank == 0:  # what killed runs left
            for partial in settings.output_dir.glob(".checkpoint-*.partial"):
                shutil.rmtree(partial)

    def resume(self, policy: Policy, optimizer: Optimizer) -> int:
        """Fill both from the newest checkpoint; the steps that it had done, 0 without one.

        The number of processes may be another than that of the writers.
        """
        checkpoint = newest_checkpoint(self.settings, self.data)
        if checkpoint is None:
            return 0
        weights, moments = states.get_state_dict(policy.model, optimizer)
        loader.load({"model": weights, "optimizer": moments}, checkpoint_id=checkpoint)
        states.set_state_dict(
            policy.model, optimizer, model_state_dict=weights, optim_state_dict=moments
        )
        return step_of(checkpoint)

    def save(self, policy: Policy, optimizer: Optimizer, step: int) -> None:
        """Copy the state after so many steps, and begin to write it."""
        self.finish()
        self.target = self.settings.output_dir / f"checkpoint-{step}"
        weights, moments = states.get_state_dict(policy.model, optimizer)
        state = {"model": weights, "optimizer": moments}
        with writing(self.target) as partial:
            self.writing = saver.async_save(state, checkpoint_id=partial, process_group=self.group)

    def finish(self, wait: bool = True) -> None:
        """Give a checkpoint that has been written its name, and remove what is too old."""
        if self.writing is None or not (wait or self.writing.done()):
            return
        begun, self.writing = self.writing, None
        with writing(self.target) as partial:
            begun.result()  # when all processes have written their part
            if self.world.rank == 0:
                run = {"step": step_of(self.target), **run_facts(self.settings, self.data)}
                (partial / "run.json").write_text(json.dumps(run), "utf-8")
                partial.rename(self.target)
                for old in checkpoints(self.target.parent)[: -self.settings.keep_checkpoints]:
                    shutil.rmtree(old)


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """The name under which to write; what stops that is said in words, and leaves nothing."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
    # torch raises CheckpointException, which is no Exception, for a failure of any process.
    except (Exception, CheckpointException) as error:
        shutil.rmtree(partial, ignore_errors=True)
        *_, reason = str(error).strip().splitlines() or [type(error).__name__]
        remedy = "Earlier checkpoints are whole: make room, and go on with --resume."
        said = f"Cannot write {target}: {reason[:300]}."
        raise UserError(said, remedy, exit_code=1) from error


def export_model(policy: Policy, tokenizer: Any, target: Path, dtype: str, world: World) -> None:
    """Write a Hugging Face folder, whole or not at all; all processes call it."""
    options = states.StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = states.get_model_state_dict(policy.model, options=options)
    if world.rank == 0:
        kind = getattr(torch, dtype)
        shell = meta_model(policy.model.config, kind)
        shell.generation_config = policy.model.generation_config
        weights = {name: weight.to(kind) for name, weight in weights.items()}
        with writing(target) as partial:
            shutil.rmtree(partial, ignore_errors=True)
            shell.save_pretrained(partial, state_dict=weights)
            tokenizer.save_pretrained(partial)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    dist.barrier()
