"""What custom_config.yaml may say. Free of torch, so that a mistake in it is reported at once."""

import math
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from rl_rollouts.config import read_config, refuse, unknown
from rl_rollouts.engine.write import files_of


class Keys(BaseModel, extra="forbid", allow_inf_nan=False):
    """Some keys of the file; it has no others."""


class RunSettings(Keys):
    """What is trained, where it is written and what is recorded."""

    algorithm: Literal["sft", "dpo", "grpo"] = "sft"
    """sft: imitate completions. dpo: prefer one to another. grpo: raise the reward of responses."""
    trainer: str = "custom_loop:TorchTrainer"
    """`module:Class`, see `rl_rollouts.trainers`; the default is the one of this folder."""
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


class BatchSettings(Keys):
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


class OptimizerSettings(Keys):
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


class SamplingSettings(Keys):
    """How grpo makes responses and judges them."""

    num_generations: int = Field(8, gt=1)
    """Responses to one prompt, whose rewards are compared with each other."""
    max_new_tokens: int = Field(512, gt=0)
    """Longest response; prompts that leave no room for it in max_length are left out."""
    temperature: float = Field(1.0, gt=0)
    """Of the sampling."""
    thinking: bool = False
    """Whether a model that can reason before it answers is asked to (enable_thinking)."""
    loss: Literal["token_mean", "response_mean"] = "token_mean"
    """What the loss is a mean over: tokens, or responses, each a mean over its own tokens."""
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


class Settings(RunSettings, BatchSettings, OptimizerSettings, SamplingSettings):
    """All keys of the file, at the top level."""

    @property
    def online(self) -> bool:
        return self.algorithm == "grpo"

    @property
    def pull(self) -> float:
        """beta, or what its absence means; above 0 a reference model is needed."""
        return {"dpo": 0.1}.get(self.algorithm, 0.0) if self.beta is None else self.beta

    @property
    def longest(self) -> int:
        """Tokens of a sequence, or of a prompt that is to be answered, at most."""
        return self.max_length - (self.max_new_tokens if self.online else 0)

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
        words, group = f"micro_batch_size {micro} x {processes} processes", 1
        if self.online:
            group = self.num_generations
            words += f", in groups of {group} responses"
        together = math.lcm(micro * processes, group)
        if batch % together == 0:
            return None
        nearest = {batch // together * together, -(-batch // together) * together} - {0}
        remedy = f"set global_batch_size to {' or '.join(map(str, sorted(nearest)))}"
        if batch % math.lcm(processes, group) == 0:
            remedy += f", or micro_batch_size to {math.gcd(micro, batch // processes)}"
        return f"global_batch_size {batch} is not a multiple of {together} ({words}); {remedy}"


def problems_of(settings: Settings, data_path: Path) -> Iterator[str]:
    """What can be known to be wrong before data and model are loaded, each with what to do."""
    output, model, tracker = settings.output_dir, settings.model_name_or_path, settings.tracker
    earlier = [p.name for p in (output / "final", *output.glob("checkpoint-*")) if p.exists()]
    if problem := settings.batch_problem(processes()):
        yield problem
    if output.is_file():
        yield f"output_dir {output} is a file; choose another output_dir"
    if earlier and not settings.resume:
        done = f"output_dir {output} holds {', '.join(sorted(earlier))} of an earlier run"
        yield f"{done}; continue it with --resume, choose another output_dir, or move it away"
    if not files_of(data_path):
        yield f"there is no data file {data_path}; give the prepared rows with --data_path"
    if model[0] in "./~" and not Path(model, "config.json").is_file():
        yield f"model_name_or_path {model} is not a folder with a config.json; correct the path"
    if tracker != "none" and not find_spec(tracker):
        yield f"tracker {tracker} needs a package: pip install {tracker}, or set tracker: none"
    torch = getattr(find_spec("torch"), "origin", None)
    if settings.compile and " " in str(torch):
        blank = f"compile cannot link torch in {torch}, because its path has a blank"
        yield f"{blank}; install the environment elsewhere, or set compile: false"
    if settings.algorithm == "dpo" and not settings.pull:
        yield "beta is 0, and dpo learns only through it; set beta: 0.1"
    if settings.longest <= 0:
        full = f"max_new_tokens {settings.max_new_tokens} leave no room for a prompt in max_length"
        yield f"{full} {settings.max_length}; lower the one, or raise the other"


def read_settings(path: Path, overrides: list[str]) -> Settings:
    """The settings of a YAML file with `key=value` overrides; UserError lists all mistakes."""
    config = read_config(path, overrides)
    try:
        return Settings.model_validate(config.values)
    except ValidationError as error:
        found = [(str(each["loc"][0]), each) for each in error.errors()]
        raise refuse([f"{config.places.get(k, path)}: {said_of(k, e)}" for k, e in found]) from None


def said_of(key: str, error: Any) -> str:
    """What pydantic says of a key, with the remedy."""
    if error["type"] == "extra_forbidden":
        return unknown(key, Settings.model_fields)
    if error["type"] == "missing":
        return f"{key} is missing; add it"
    return f"{key} is {error['input']!r}; {error['msg']}"


def processes() -> int:
    """Processes of this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))
