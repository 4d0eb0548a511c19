"""Runs that are not overwritten, checkpoints that are whole, and the final model."""

import shutil
from pathlib import Path

from rl_rollouts.errors import UserError
from rl_rollouts.frameworks.verl import join, parts_of
from verl_settings import Settings

TRACKER = "latest_checkpointed_iteration.txt"
"""verl writes the step here when a checkpoint is whole, and goes on from that one."""


def check_output(settings: Settings, resume: bool) -> None:
    """A finished or begun run is never overwritten.

    Raises:
        UserError: when there is one, or none to resume.
    """
    output, trainer = settings.output, settings.config.trainer
    if resume or trainer.resume_mode == "resume_path":
        if trainer.resume_mode != "resume_path":
            trainer.resume_mode = "auto"
        return
    trainer.resume_mode = "disable"
    if (output / "final").exists() or any(output.glob("global_step_*")):
        raise UserError(
            f"{output} already holds a run.",
            "Go on with --resume, or choose another one: trainer.default_local_dir=...",
        )


def latest(output: Path) -> Path | None:
    """The newest whole checkpoint of a run."""
    try:
        step = int((output / TRACKER).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    folder = output / f"global_step_{step}"
    return folder if folder.is_dir() else None


def log_file(output: Path) -> Path:
    """Where verl's file logger is to write. It begins anew each time: what is there is kept.

    `plot.py` reads `log.1.jsonl` and so on before `log.jsonl`.
    """
    output.mkdir(parents=True, exist_ok=True)
    file = output / "log.jsonl"
    if file.exists():
        taken = len(list(output.glob("log.*.jsonl")))
        file.replace(output / f"log.{taken + 1}.jsonl")
    return file


def save_final(settings: Settings) -> Path:
    """Make the model in `final` of the newest checkpoint.

    Raises:
        UserError: when nothing was trained, or verl's merger fails.
    """
    output = settings.output
    checkpoint = latest(output)
    parts = parts_of(checkpoint) if checkpoint is not None else None
    if parts is None:
        raise UserError(
            "No checkpoint was written, so not one step was trained.",
            "See that there are more rows than a step takes.",
            exit_code=1,
        )
    final, begun = output / "final", output / "final.partial"
    shutil.rmtree(begun, ignore_errors=True)
    join(parts, begun, base=str(settings.model.path))
    shutil.rmtree(final, ignore_errors=True)
    begun.replace(final)
    return final
