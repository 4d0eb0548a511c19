"""What custom_config.yaml may say. Free of torch, so that a mistake in it is reported at once."""

import difflib
import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from dataprep.errors import UserError


class RunSettings(BaseModel):
    """What is trained, where it is written and what is recorded."""

    algorithm: Literal["sft", "dpo", "grpo"] = "sft"
    """sft: imitate completions. dpo: prefer one to another. grpo: raise the reward of responses."""
    trainer: str = "custom_loop:TorchTrainer"
    """`module:Class`, see trainer_protocol.py; the default is the one of this folder."""
    trainer_config: dict[str, Any] = {}
    """Whatever another trainer reads beside these keys."""
    model_name_or_path: str = Field(min_length=1)
    """Folder of a Hugging Face model, or its id on the Hub."""
    output_dir: Path
    """Folder for checkpoints, log.jsonl, tracker files and the model in final/."""
    resume: bool = False
    """Go on from the newest checkpoint in output_dir; --resume sets it."""
    save_steps: int | None = Field(None, gt=0)
    """Optimizer steps between checkpoints; the last step is saved too. Absent: no checkpoints."""
    keep_checkpoints: int = Field(2, gt=0)
    """Newest checkpoints kept; each holds 12 bytes per parameter."""
    logging_steps: int = Field(10, gt=0)
    """Optimizer steps between log lines; their values are means over them."""
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "none"
    """Where the log lines go too; the name of the package that must be installed."""
    run_name: str | None = None
    """Name shown by wandb and mlflow."""
    peak_tflops: float | None = Field(None, gt=0)
    """Of one GPU in `dtype`, for the log's MFU. Absent: as a table in custom_log.py has it."""


class BatchSettings(BaseModel):
    """What a sequence is, how many make one optimizer step, and how they are computed."""

    max_length: int = Field(2048, gt=1)
    """Longest sequence, prompt and completion together, in tokens."""
    overlong: Literal["drop", "cut"] = "drop"
    """Rows longer than max_length: left out, or cut at the end. Both are counted and printed."""
    global_batch_size: int = Field(32, gt=0)
    """Rows (dpo: pairs; grpo: responses) per optimizer step, over all processes."""
    micro_batch_size: int = Field(1, gt=0)
    """Rows of at most max_length tokens per process in one forward pass."""
    packing: bool = False
    """Fill the rows with several sequences instead of padding; attention stays within each."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: about a third slower, far less memory."""
    loss_chunk: int = Field(1024, ge=0)
    """Tokens whose logits exist at a time; 0: all, from the model's own head."""
    compile: bool = False
    """torch.compile on each layer: minutes at the start, then faster."""
    attn_implementation: str | None = None
    """Of transformers: sdpa, flash_attention_2, flex_attention, ... Absent: what it prefers."""
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
    """Of the data order, of dropout and of sampling."""
    beta: float | None = Field(None, ge=0)
    """Pull towards the model before training. Absent: 0.1 for dpo, 0 (no reference) for grpo."""


class SamplingSettings(BaseModel):
    """How grpo makes responses and judges them."""

    num_generations: int = Field(8, gt=1)
    """Responses to one prompt, whose rewards are compared with each other."""
    max_new_tokens: int = Field(512, gt=0)
    """Longest response; prompts that leave no room for it in max_length are left out."""
    temperature: float = Field(1.0, gt=0)
    """Of the sampling."""
    scale_rewards: bool = True
    """Divide advantages by the standard deviation of the group's rewards."""
    clip_low: float = Field(0.2, ge=0, lt=1)
    """How far a token's probability may fall below that at which it was sampled, as a share."""
    clip_high: float = Field(0.2, ge=0)
    """How far it may rise. Both act where a server samples: else a token is learned only once."""
    rewards: str = "rewards:score"
    """`module:function` that scores a response."""
    rows_with_tools: Literal["refuse", "drop"] = "refuse"
    """Tools are not run here, so a task that needs them cannot be solved."""
    vllm_server_url: str | None = None
    """Of a vLLM server that generates, http://host:port. Absent: transformers does."""
    weights_dir: Path | None = None
    """Where the server reads new weights, a folder that both see. Absent: in output_dir."""


class Settings(
    RunSettings,
    BatchSettings,
    OptimizerSettings,
    SamplingSettings,
    extra="forbid",
    allow_inf_nan=False,
):
    """All keys of the file, at the top level."""

    @property
    def online(self) -> bool:
        return self.algorithm == "grpo"

    @property
    def pull(self) -> float:
        """beta, or what its absence means; above 0 a reference model is needed."""
        return {"dpo": 0.1}.get(self.algorithm, 0.0) if self.beta is None else self.beta

    @property
    def rows_per_step(self) -> int:
        """Rows of the file that one optimizer step takes."""
        return self.global_batch_size // (self.num_generations if self.online else 1)

    def total_steps(self, rows: int) -> int:
        """Optimizer steps of the whole run over so many rows."""
        return self.max_steps or math.ceil(self.epochs * rows / self.rows_per_step)

    def batch_problem(self, processes: int) -> str | None:
        """Why the global batch cannot be spread evenly over so many processes, if it cannot."""
        batch, micro = self.global_batch_size, self.micro_batch_size
        together, words = micro * processes, f"micro_batch_size {micro} x {processes} processes"
        if self.online:
            together = math.lcm(together, self.num_generations)
            words += f", in groups of {self.num_generations} responses"
        if batch % together == 0:
            return None
        legal = {batch // together * together, -(-batch // together) * together} - {0}
        remedy = f"set global_batch_size to {' or '.join(map(str, sorted(legal)))}"
        if batch % math.lcm(processes, self.num_generations if self.online else 1) == 0:
            fitting = max(n for n in range(1, micro + 1) if batch // processes % n == 0)
            remedy += f", or micro_batch_size to {fitting}"
        return f"global_batch_size {batch} is not a multiple of {together} ({words}); {remedy}"


def refuse(problems: list[str]) -> UserError:
    """All that is wrong, each with what to do."""
    return UserError(
        "\n  ".join([f"{len(problems)} problem(s):", *problems]), "Nothing was trained."
    )


def read_settings(path: Path, overrides: list[str]) -> Settings:
    """The settings of a YAML file with `key=value` overrides; UserError lists all mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
        node, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text) or {}
        pairs = [override.partition("=") for override in overrides]
        changes = {key: yaml.safe_load(value) for key, _, value in pairs}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Give the config with --config.") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} or a --set value is not YAML: {reason}", "Correct it.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}.", "Write `key: value` lines.")
    keys = [key for key, _ in node.value] if node else []
    places = {key.value: f"{path}:{key.start_mark.line + 1}" for key in keys}
    places |= dict.fromkeys(changes, "--set")
    try:
        return Settings.model_validate(values | changes)
    except ValidationError as error:
        raise refuse([describe(e, places, path) for e in error.errors()]) from None


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
