"""How much memory training takes on one GPU: an estimate by arithmetic, never a measurement.

States (weights, gradients, optimizer) are exact; activations use a fit of `layers x hidden size` to
the published shapes of Qwen3 0.6B to 32B and Llama-3 70B, with activation checkpointing (one hidden
state kept per layer); logits assume a vocabulary of 152k.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scaffolder import machine
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Sharding

GIB = 2**30
VOCABULARY = 152_000
LOGIT_BYTES = 10
"""A logit in bf16, in fp32 for the loss, and its fp32 gradient."""
OVERHEAD = 2.0
"""CUDA context, communication buffers and fragmentation, GiB per GPU."""
SERVED_BYTES = 2.0
"""Of a weight in a generation engine, which serves bfloat16."""


@dataclass(frozen=True)
class TrainingCost:
    """What one framework's trainer keeps, in bytes per parameter of the model, and per row."""

    weight_bytes: float
    """The weights themselves, trained or frozen, and frozen copies such as the reference model."""
    gradient_bytes: float
    optimizer_bytes: float
    sequences_per_row: int = 1
    """Sequences in one forward for one row: 2 for a chosen and rejected pair."""
    has_logits: bool = True
    """Whether each token is scored over the vocabulary; a reward model gives one number."""
    logit_tokens: int | None = None
    """Tokens scored at a time, where that is not a whole micro batch."""
    model_parallel: int = 1
    """GPUs that share one copy of the model and the work on each row (megatron)."""

    def state_bytes(self, sharding: Sharding, processes: int) -> float:
        """Bytes per parameter on one GPU, when states are shared between processes."""
        shared = self.gradient_bytes + self.optimizer_bytes
        if sharding == "megatron":
            held = (self.weight_bytes + self.gradient_bytes) / self.model_parallel
            return held + self.optimizer_bytes / processes
        if sharding == "ddp":
            return self.weight_bytes + shared
        if sharding == "zero2":
            return self.weight_bytes + shared / processes
        return (self.weight_bytes + shared) / processes


class Memory(BaseModel):
    """Estimated peak per GPU, GiB."""

    model_config = ConfigDict(frozen=True)

    states: float
    """Weights, gradients, optimizer states and frozen copies."""
    activations: float
    """Hidden states kept for the backward pass."""
    logits: float
    """Scores over the vocabulary, of one micro batch or of what is scored at a time."""
    generation: float = 0
    """What generation on the same GPU keeps: an engine's share, or a copy of the weights."""
    overhead: float = OVERHEAD

    @property
    def total(self) -> float:
        return self.states + self.activations + self.logits + self.generation + self.overhead


def estimate_memory(
    billions: float,
    spec: ProjectSpec,
    cost: TrainingCost,
    *,
    micro_batch: int,
    sharding: Sharding,
    processes: int,
    reserved: float = 0,
) -> Memory:
    """Peak memory of one GPU.

    Args:
        reserved: GiB that generation on the same GPU keeps for itself.
    """
    tokens = micro_batch * cost.sequences_per_row * spec.sequence_length
    layers_times_hidden = 40_000 * billions**0.65
    state_bytes = cost.state_bytes(sharding, processes)
    scored = min(tokens, cost.logit_tokens or tokens) if cost.has_logits else 0
    return Memory(
        states=round(billions * 1e9 * state_bytes / GIB, 2),
        activations=round(tokens * layers_times_hidden * 2 / GIB / cost.model_parallel, 2),
        logits=round(scored * VOCABULARY * LOGIT_BYTES / GIB, 2),
        generation=round(reserved, 2),
    )


def served_gib(billions: float) -> float:
    """Weights of the model in a generation engine, GiB over all its GPUs."""
    return billions * 1e9 * SERVED_BYTES / GIB


def model_billions(spec: ProjectSpec) -> float | None:
    """Parameters in billions: as answered, from a local folder's weights, or from the name."""
    if spec.model_billions is not None:
        return spec.model_billions
    folder = machine.found(spec.model)
    if folder and folder.is_dir():
        return _folder_billions(folder)
    return _billions_in(Path(spec.model).name.lower())


def _billions_in(name: str) -> float | None:
    """Size in a model's name; mixtures of experts that name no total are unknown."""
    number = r"(\d+(?:\.\d+)?)"
    if experts := re.search(rf"(?<![\d.])(\d+)x{number}b(?![a-z])", name):
        return int(experts[1]) * float(experts[2])
    if re.search(r"(?<![a-z\d])\d+e(?![a-z])", name):
        return None
    size = re.search(rf"(?<![\d.a-z]){number}([bm])(?![a-z])", name)
    return float(size[1]) / (1 if size[2] == "b" else 1000) if size else None


def _folder_billions(folder: Path) -> float | None:
    """Size on disk over bytes per weight. Source: safetensors files store raw weights."""
    try:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    width = {"float32": 4, "float16": 2, "bfloat16": 2}.get(dtype)
    return size / width / 1e9 if size and width else None
