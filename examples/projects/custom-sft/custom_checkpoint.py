"""What a run leaves in output_dir: checkpoints to resume from, and the model in final/.

Both are written under another name and renamed when whole.
"""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.optim import Optimizer

from custom_data import Dataset
from custom_model import World, meta_model
from custom_settings import Settings, UserError

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
        "global_batch_size": settings.global_batch_size,
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
    changed = [f"{k} was {saved[k]} and is now {v}" for k, v in facts.items() if saved[k] != v]
    if changed:
        raise UserError(
            f"cannot resume from {found[-1]}: {', '.join(changed)}; put that back, "
            "or start anew with another output_dir"
        )
    return found[-1], int(saved["step"])


def save_checkpoint(
    model: Any, optimizer: Optimizer, run: dict[str, int], settings: Settings, world: World
) -> None:
    """Model and optimizer of all processes, after run["step"] steps; all processes call it.

    There is no random state to save: the loop seeds each step from its number.
    """
    target = settings.output_dir / f"checkpoint-{run['step']}"
    partial = target.with_name(f".{target.name}.partial")
    if world.main:
        shutil.rmtree(partial, ignore_errors=True)
    world.wait()
    weights, moments = get_state_dict(model, optimizer)
    save({"model": weights, "optimizer": moments}, checkpoint_id=partial)
    if world.main:
        (partial / "run.json").write_text(json.dumps(run), encoding="utf-8")
        partial.rename(target)
        for old in checkpoints(settings.output_dir)[: -settings.keep_checkpoints]:
            shutil.rmtree(old)
    world.wait()


def load_checkpoint(model: Any, optimizer: Optimizer, checkpoint: Path) -> None:
    """Fill model and optimizer; the number of processes may differ from that of the writer."""
    weights, moments = get_state_dict(model, optimizer)
    load({"model": weights, "optimizer": moments}, checkpoint_id=checkpoint)
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=moments)


def export_model(model: Any, tokenizer: Any, settings: Settings, world: World) -> None:
    """Write output_dir/final, a Hugging Face folder in settings.dtype; all processes call it."""
    target = settings.output_dir / "final"
    partial = settings.output_dir / ".final.partial"
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(model, options=options)
    if world.main:
        shutil.rmtree(partial, ignore_errors=True)
        dtype = getattr(torch, settings.dtype)
        shell = meta_model(model.config, dtype)
        shell.generation_config = model.generation_config
        tied = shell.all_tied_weights_keys  # a shared weight is stored once, under its main name
        kept = {name: w.to(dtype) for name, w in weights.items() if name not in tied}
        shell.save_pretrained(partial, state_dict=kept)
        tokenizer.save_pretrained(partial)
        partial.rename(target)
        print(f"model written to {target}", flush=True)
    world.wait()
