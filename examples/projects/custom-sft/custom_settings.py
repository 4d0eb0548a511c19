"""What custom_config.yaml may say. Free of torch, so that a mistake in it is reported at once."""

import difflib
import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError


class UserError(Exception):
    """Something the user can put right: every problem that was found, each with what to do."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(f"error: {problem}" for problem in problems))
        self.problems = problems


class TrainingStoppedError(UserError):
    """The run began and cannot go on."""

    exit_code = 1


class RunSettings(BaseModel):
    """What is trained, where it is written and what is recorded."""

    algorithm: Literal["sft"] = "sft"
    """sft: cross entropy on what the assistant wrote in the completion."""
    model_name_or_path: str = Field(min_length=1)
    """Folder of a Hugging Face model, or its id on the Hub."""
    output_dir: Path
    """Folder for checkpoints, log.jsonl, tracker files and the model in final/."""
    save_steps: int | None = Field(None, gt=0)
    """Optimizer steps between checkpoints; the last step is saved too. Absent: no checkpoints."""
    keep_checkpoints: int = Field(2, gt=0)
    """Newest checkpoints kept; each holds 12 bytes per parameter."""
    logging_steps: int = Field(10, gt=0)
    """Optimizer steps between log lines; loss and times are means over them."""
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "none"
    """Where the log lines go too; the name of the package that must be installed."""
    run_name: str | None = None
    """Name shown by wandb and mlflow."""


class BatchSettings(BaseModel):
    """What a sequence is and how many make one optimizer step."""

    max_length: int = Field(2048, gt=1)
    """Longest sequence, prompt and completion together, in tokens."""
    overlong: Literal["drop", "cut"] = "drop"
    """Rows longer than max_length: left out, or cut at the end. Both are counted and printed."""
    global_batch_size: int = Field(32, gt=0)
    """Sequences per optimizer step, over all processes."""
    micro_batch_size: int = Field(1, gt=0)
    """Sequences per process in one forward pass."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: about a third slower, far less memory."""
    dtype: Literal["bfloat16", "float32"] = "float32"
    """Of the computation and the final model; weights and gradient sums stay float32."""


class OptimizerSettings(BaseModel):
    """How long and how fast."""

    learning_rate: float = Field(1e-5, gt=0)
    """Highest rate of AdamW, reached after the warm-up."""
    lr_scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls to zero over the steps after the warm-up."""
    warmup_ratio: float = Field(0.03, ge=0, le=1)
    """Share of all steps in which the rate rises linearly."""
    weight_decay: float = Field(0.0, ge=0)
    """Of AdamW; norms and biases are left out."""
    max_grad_norm: float = Field(1.0, gt=0)
    """The gradient is scaled down to this L2 norm."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the rows; the last optimizer step is filled up from the next pass."""
    max_steps: int | None = Field(None, gt=0)
    """Optimizer steps to run instead of epochs."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the data order and of dropout."""


class Settings(RunSettings, BatchSettings, OptimizerSettings, extra="forbid", allow_inf_nan=False):
    """All keys of the file, at the top level."""

    def total_steps(self, rows: int) -> int:
        """Optimizer steps of the whole run over so many rows."""
        return self.max_steps or math.ceil(self.epochs * rows / self.global_batch_size)

    def batch_problem(self, processes: int) -> str | None:
        """Why the global batch cannot be spread evenly over so many processes, if it cannot."""
        batch, micro = self.global_batch_size, self.micro_batch_size
        if batch % (together := micro * processes) == 0:
            return None
        legal = {batch // together * together, -(-batch // together) * together} - {0}
        remedy = f"set global_batch_size to {' or '.join(map(str, sorted(legal)))}"
        if batch % processes == 0:
            fitting = max(n for n in range(1, micro + 1) if batch // processes % n == 0)
            remedy += f", or micro_batch_size to {fitting}"
        return (
            f"global_batch_size {batch} is not a multiple of {together} "
            f"(micro_batch_size {micro} x {processes} processes); {remedy}"
        )


def read_settings(path: Path, overrides: list[str]) -> Settings:
    """The settings of a YAML file with `key=value` overrides; UserError lists all mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
        node, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text) or {}
        pairs = [override.partition("=") for override in overrides]
        changes = {key: yaml.safe_load(value) for key, _, value in pairs}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error}); give the config with --config") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} or a --set value is not YAML: {reason}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold `key: value` lines, not a {type(values).__name__}")
    keys = [key for key, _ in node.value] if node else []
    places = {key.value: f"{path}:{key.start_mark.line + 1}" for key in keys}
    places |= dict.fromkeys(changes, "--set")
    try:
        return Settings.model_validate(values | changes)
    except ValidationError as error:
        raise UserError(*(describe(e, places, path) for e in error.errors())) from None


def describe(error: Any, places: dict[str, str], path: Path) -> str:
    """One pydantic error as a line that says where, what and the remedy."""
    key = str(error["loc"][0])
    place = places.get(key, str(path))
    if error["type"] == "missing":
        return f"{place}: {key} is missing; add it"
    if error["type"] != "extra_forbidden":
        return f"{place}: {key} is {error['input']!r}; {error['msg']}"
    near = difflib.get_close_matches(key, Settings.model_fields, 1)
    remedy = f"did you mean {near[0]}?" if near else "remove it; custom_settings.py has all keys"
    return f"{place}: unknown key {key}; {remedy}"
