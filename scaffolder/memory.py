"""How much memory training takes on one GPU: an estimate by arithmetic, never a measurement.

States (weights, gradients, optimizer) are exact. What a step needs beside them is the largest of
its phases, with activation checkpointing: the head, the backward pass of a layer, and the sum of
the gradients of embedding and head at the end. `benchmarks/memory_plan.py` holds it against torch's
own tracker, FSDPMemTracker with fake tensors, at real sizes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scaffolder import machine
from scaffolder.numbers import gib
from scaffolder.shapes import Shape, fitted, shape_of
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Sharding

GIB = 2**30
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
    head_sum_bytes: float = 0
    """Of a weight of the head, where its gradient is summed over what is scored at a time."""
    model_parallel: int = 1
    """GPUs that share one copy of the model and the work on each row (megatron)."""
    autocast: bool = False
    """Whether weights in float32 are cast for each forward where they are not sharded: the copies
    of a whole forward and backward are kept."""

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
    """Hidden states kept for the backward pass, and what a layer computes again in it."""
    logits: float
    """Scores over the vocabulary, of one micro batch or of what is scored at a time."""
    working: float | None = None
    """All that a step needs beside states, in its largest phase; absent in plans before 0.3.0."""
    generation: float = 0
    """What generation on the same GPU keeps: an engine's share, or a copy of the weights."""
    overhead: float = OVERHEAD

    @property
    def total(self) -> float:
        step = self.activations + self.logits if self.working is None else self.working
        return self.states + step + self.generation + self.overhead


def estimate_memory(
    billions: float,
    spec: ProjectSpec,
    cost: TrainingCost,
    *,
    micro_batch: int,
    sharding: Sharding,
    processes: int,
    reserved: float = 0,
    awake: float = 0,
    generated: int = 0,
) -> Memory:
    """Peak memory of one GPU.

    Args:
        reserved: GiB that generation on the same GPU keeps for itself.
        awake: GiB that it takes beside states, and gives back while the trainer works.
        generated: responses that the trainer itself writes at once, whose keys and values it keeps.
    """
    shape = shape_of(spec.model) or fitted(billions)
    tokens = micro_batch * cost.sequences_per_row * spec.sequence_length
    kept = tokens * shape.layers * shape.hidden * 2 / cost.model_parallel
    attended = shape.heads * shape.head_dim
    width = 6 * shape.ffn + 6 * shape.hidden + 8 * attended
    again = tokens * width * 2 / cost.model_parallel
    scored = min(tokens, cost.logit_tokens or tokens) if cost.has_logits else 0
    logits = scored * shape.vocabulary * LOGIT_BYTES / cost.model_parallel
    head = logits + cost.head_sum_bytes * shape.vocabulary * shape.hidden
    weights = billions * 1e9
    fixed, layer, end = _gathered(weights, shape, cost, sharding, processes)
    cache = generated * spec.sequence_length * shape.layers * 4 * shape.kv_heads * shape.head_dim
    step = max(fixed + kept + max(layer + again, head), end, cache) / GIB
    return Memory(
        states=round(weights * cost.state_bytes(sharding, processes) / GIB, 2),
        activations=round((kept + again) / GIB, 2),
        logits=round(logits / GIB, 2),
        working=round(max(step, awake), 2),
        generation=round(reserved, 2),
    )


def _gathered(
    weights: float, shape: Shape, cost: TrainingCost, sharding: Sharding, processes: int
) -> tuple[float, float, float]:
    """Bytes beside states: all through a step, while a layer is in work, and at the very end.

    Sharded, embedding and head are one group that stays gathered (2 bytes a weight), with the
    head's gradient (2); at the end gradients of both (2) become float32 sums (4). A layer is there
    twice, since the next one is fetched meanwhile (4), with its gradient (2) and sum (4).
    """
    trained = cost.gradient_bytes >= 1
    if sharding in {"fsdp2", "zero3"} and processes > 1:
        layer, head = (weights - shape.root) / shape.layers, shape.vocabulary * shape.hidden
        fixed = 2.0 * shape.root + (2.0 * head if trained else 0)
        return fixed, max(0.0, layer) * (10 if trained else 4), shape.root * 6.0 * trained
    fixed = 2.0 * weights if cost.autocast and sharding != "zero2" else 0.0
    # The buckets in which DDP sums gradients are a copy of them.
    buckets = weights * cost.gradient_bytes if sharding == "ddp" and processes > 1 else 0.0
    return fixed + buckets, 0.0, 0.0


def remarks(spec: ProjectSpec, memory: Memory | None, smallest: int) -> Iterator[str]:
    """What the user should know of an estimate, a sentence each.

    Args:
        smallest: rows of the smallest micro batch.
    """
    if memory is None:
        yield (
            f"The size of {spec.model} is not known, so memory was not estimated and the micro "
            f"batch is {smallest}; --set model_billions=... mends both."
        )
        return
    if memory.total > spec.gpu_memory:
        yield (
            f"About {gib(memory.total)} per GPU are needed with the smallest micro batch, and "
            f"there are {gib(spec.gpu_memory)}: shorten --set sequence_length, or add GPUs."
        )
    if shape_of(spec.model) is None:
        yield (
            f"The layers of {spec.model} are not known, so memory was estimated from its size "
            "alone; a local folder with its config.json says more."
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
