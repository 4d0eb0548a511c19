"""Checkpoints that are whole, however a run ended, and the final model."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

from rl_rollouts.errors import UserError

WHOLE = "whole"
"""A file in a checkpoint that was written to its end. Trainer writes into the folder itself, so
after a kill in the middle of it there is one that has its name and not all of its files."""
FEWEST = 2
"""Checkpoints to keep: while the newest is written, the one before is the only whole one."""


def marker() -> Any:
    """A callback that marks each checkpoint once all processes have written their part of it."""
    from transformers import TrainerCallback

    class Marker(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            args.distributed_state.wait_for_everyone()
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if args.process_index == 0:
                (folder / WHOLE).touch()

    return Marker()


def stopper() -> Any:
    """A callback that ends training after SIGTERM with a checkpoint; `stopped` then says so.

    The one of transformers (enable_jit_checkpoint) asks each process by itself, so that some save
    after a step and others do not, and it marks no checkpoint as whole. Clusters often send the
    signal twice.
    """
    import torch
    from transformers import TrainerCallback

    class Stopper(TrainerCallback):  # type: ignore[misc]
        noted = stopped = False

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            signal.signal(signal.SIGTERM, self.note)

        def note(self, *_: object) -> None:
            self.noted = True

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            noted = torch.tensor(float(self.noted), device=args.device)
            if torch.distributed.is_initialized():
                torch.distributed.all_reduce(noted)
            if noted > 0 and state.global_step < state.max_steps:
                control.should_save = control.should_training_stop = self.stopped = True

    return Stopper()


def checkpoints(output: Path) -> list[Path]:
    """All of a run, the newest last."""
    found = [path for path in output.glob("checkpoint-*") if _step(path) is not None]
    return sorted(found, key=lambda path: _step(path) or 0)


def _step(path: Path) -> int | None:
    match = re.fullmatch(r"checkpoint-(\d+)", path.name)
    return int(match[1]) if match and path.is_dir() else None


def check_output(training: Any) -> str | None:
    """The checkpoint to go on from; a finished or begun run is never overwritten."""
    output, resume = Path(training.output_dir), training.resume_from_checkpoint
    if training.save_total_limit is not None and training.save_total_limit < FEWEST:
        raise UserError(
            f"save_total_limit is {training.save_total_limit}: a run that is killed while it saves "
            "would leave no checkpoint.",
            f"Set it to {FEWEST} or more.",
        )
    whole = [path for path in checkpoints(output) if (path / WHOLE).exists()]
    if resume == "latest":
        return str(whole[-1]) if whole else None
    if resume is None and (checkpoints(output) or (output / "final").exists()):
        raise UserError(
            f"{output} already holds a run.",
            "Go on with --resume_from_checkpoint latest, or choose another --output_dir.",
        )
    if resume is not None and not Path(resume).is_dir():
        raise UserError(
            f"There is no checkpoint {resume}.", "Give --resume_from_checkpoint a folder or latest."
        )
    return None if resume is None else str(resume)


def remove_broken(trainer: Any) -> None:
    """Remove what a killed run left half-written, before it counts as one of those to keep."""
    output = Path(trainer.args.output_dir)
    if trainer.accelerator.is_main_process:
        for path in checkpoints(output):
            if not (path / WHOLE).exists():
                print(f"removing {path}, which was not written to its end")
                shutil.rmtree(path, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()


def save_final(trainer: Any) -> None:
    """The final model as a Hugging Face folder, and the loss curve; whole or not at all."""
    output = Path(trainer.args.output_dir)
    partial, final = output / "final.partial", output / "final"
    if trainer.accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(partial))
    trainer.accelerator.wait_for_everyone()
    if trainer.accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        log = "".join(json.dumps(entry) + "\n" for entry in trainer.state.log_history)
        (output / "log.jsonl").write_text(log, "utf-8")
        print(f"The model is in {final}, the loss curve in {output / 'log.jsonl'}.")
