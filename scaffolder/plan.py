"""From a spec to numbers: batch sizes, processes and memory, with words where they do not come out.

Memory is an estimate. States (weights, gradients, optimizer) are exact arithmetic; activations use
a fit of `layers x hidden size` to the published shapes of Qwen3 0.6B to 32B and Llama-3 70B, with
activation checkpointing (one hidden state kept per layer); logits assume a vocabulary of 152k.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from scaffolder.errors import InfeasiblePlan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import DatasetKind

GIB = 2**30
VOCABULARY = 152_000
LOGIT_BYTES = 10
"""A logit in bf16, in fp32 for the loss, and its fp32 gradient."""
OVERHEAD = 2.0
"""CUDA context, communication buffers and fragmentation, GiB per GPU."""
TRACKER_REQUIREMENTS = {
    "tensorboard": ["tensorboard==2.21.0"],
    "wandb": ["wandb==0.31.0"],
    "mlflow": ["mlflow==3.18.0"],
    "none": [],
}
LARGEST_MICRO_BATCH = 8
USUAL_GLOBAL_BATCH = 32


@dataclass(frozen=True)
class TrainingCost:
    """What one framework's trainer keeps per parameter and per row."""

    state_bytes: float
    """Bytes per parameter that is trained: weight, gradient, optimizer."""
    frozen_bytes: float = 0
    """Bytes per parameter of a frozen copy, such as the reference model."""
    sequences_per_row: int = 1
    """Sequences in one forward for one row: 2 for a chosen and rejected pair."""


class Memory(BaseModel):
    """Estimated peak per GPU, GiB."""

    model_config = ConfigDict(frozen=True)

    states: float
    """Weights, gradients, optimizer states and frozen copies."""
    activations: float
    """Hidden states kept for the backward pass."""
    logits: float
    """Scores over the vocabulary for one micro batch."""
    overhead: float = OVERHEAD

    @property
    def total(self) -> float:
        return self.states + self.activations + self.logits + self.overhead


class Plan(BaseModel):
    """What follows from a spec by arithmetic; saved in the project beside the answers."""

    model_config = ConfigDict(frozen=True)

    dataset_kind: DatasetKind
    framework_version: str
    requirements: list[str]
    """What pip installs to train."""
    world_size: int
    """Training processes, one a GPU."""
    data_parallel: int
    """Processes that see different rows."""
    tensor_parallel: int = 1
    """Processes that share one matrix multiplication."""
    generation_gpus: int = 0
    """GPUs that only generate."""
    sharding: Literal["none", "fsdp"]
    """Whether weights and states are split over the data-parallel processes."""
    global_batch_size: int
    """Rows per optimizer step over all processes."""
    micro_batch_size: int
    """Rows per process per forward."""
    accumulation_steps: int
    """Forwards per optimizer step."""
    memory: Memory | None
    """Absent when the size of the model is not known."""
    launcher: list[str]
    """Words before the name of the training script, on one machine."""
    notes: list[str] = []
    """What the user should know before launch, one sentence each."""
    settings: dict[str, Any] = {}
    """Values that only this framework's templates read."""


def model_billions(spec: ProjectSpec) -> float | None:
    """Parameters in billions: as answered, from a local folder's weights, or from the name."""
    if spec.model_billions is not None:
        return spec.model_billions
    folder = Path(spec.model).expanduser()
    if folder.is_dir():
        return _folder_billions(folder)
    return _billions_in(folder.name.lower())


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
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    width = {"float32": 4, "float16": 2, "bfloat16": 2}.get(dtype)
    return size / width / 1e9 if size and width else None


def estimate_memory(
    billions: float, spec: ProjectSpec, cost: TrainingCost, *, micro_batch: int, shards: int
) -> Memory:
    """Peak memory of one GPU when states are split over `shards` processes."""
    tokens = micro_batch * cost.sequences_per_row * spec.sequence_length
    layers_times_hidden = 40_000 * billions**0.65
    return Memory(
        states=round(billions * 1e9 * (cost.state_bytes + cost.frozen_bytes) / shards / GIB, 2),
        activations=round(tokens * layers_times_hidden * 2 / GIB, 2),
        logits=round(tokens * VOCABULARY * LOGIT_BYTES / GIB, 2),
    )


def data_parallel_plan(
    spec: ProjectSpec,
    *,
    cost: TrainingCost,
    dataset_kind: DatasetKind,
    framework_version: str,
    requirements: Sequence[str],
) -> Plan:
    """Plan a trainer whose processes all hold different rows (DDP, or FSDP when needed).

    The launcher is left empty for the adapter to fill in.

    Raises:
        InfeasiblePlan: with every reason, each naming numbers that would do.
    """
    world = spec.nodes * spec.gpus_per_node
    billions = model_billions(spec)
    sharding = _sharding(spec, cost, billions, world)
    shards = world if sharding == "fsdp" else 1
    batch = spec.global_batch_size or _round_up(USUAL_GLOBAL_BATCH, world)
    reasons = [*_batch_reasons(batch, world), *_memory_reasons(spec, cost, billions, shards)]
    if reasons:
        raise InfeasiblePlan(reasons)
    micro = _largest_micro_batch(spec, cost, billions, batch // world, shards)
    memory = (
        estimate_memory(billions, spec, cost, micro_batch=micro, shards=shards)
        if billions is not None
        else None
    )
    return Plan(
        dataset_kind=dataset_kind,
        framework_version=framework_version,
        requirements=[*requirements, *TRACKER_REQUIREMENTS[spec.tracker]],
        world_size=world,
        data_parallel=world,
        sharding=sharding,
        global_batch_size=batch,
        micro_batch_size=micro,
        accumulation_steps=batch // world // micro,
        memory=memory,
        launcher=[],
        notes=list(_notes(spec, memory)),
    )


def _sharding(
    spec: ProjectSpec, cost: TrainingCost, billions: float | None, world: int
) -> Literal["none", "fsdp"]:
    """Split the states as soon as they would take more than half of a GPU."""
    if world == 1 or billions is None:
        return "none"
    whole = estimate_memory(billions, spec, cost, micro_batch=1, shards=1)
    return "fsdp" if whole.states > spec.gpu_memory / 2 else "none"


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _batch_reasons(batch: int, world: int) -> Iterable[str]:
    if batch % world:
        below, above = batch // world * world, _round_up(batch, world)
        near = " or ".join(str(value) for value in (below, above) if value)
        yield (
            f"a global batch of {batch} does not divide over {world} data-parallel GPUs; "
            f"the nearest that do are {near} (--set global_batch_size=...)"
        )


def _memory_reasons(
    spec: ProjectSpec, cost: TrainingCost, billions: float | None, shards: int
) -> Iterable[str]:
    if billions is None:
        return
    need = estimate_memory(billions, spec, cost, micro_batch=1, shards=shards)
    if need.states <= spec.gpu_memory:
        return
    most = spec.gpu_memory * shards * GIB / (cost.state_bytes + cost.frozen_bytes) / 1e9
    gpus = -(-int(need.states * shards) // int(max(spec.gpu_memory * 0.7, 1)))
    yield (
        f"training all {billions:g} billion weights of {spec.model} keeps "
        f"{need.states:.0f} GiB of weights, gradients and optimizer states on each of "
        f"{spec.nodes * spec.gpus_per_node} GPU(s), which have {spec.gpu_memory:g} GiB; "
        f"use about {gpus} GPUs, or a model below {most:.1f} billion"
    )


def _largest_micro_batch(
    spec: ProjectSpec, cost: TrainingCost, billions: float | None, per_process: int, shards: int
) -> int:
    """Largest divisor of the rows of one process that leaves a tenth of the GPU free."""
    if billions is None:
        return 1
    for micro in range(min(per_process, LARGEST_MICRO_BATCH), 1, -1):
        memory = estimate_memory(billions, spec, cost, micro_batch=micro, shards=shards)
        if per_process % micro == 0 and memory.total <= 0.9 * spec.gpu_memory:
            return micro
    return 1


def _notes(spec: ProjectSpec, memory: Memory | None) -> Iterable[str]:
    if memory is None:
        yield (
            f"The size of {spec.model} is not known, so memory was not estimated and the micro "
            "batch is 1; --set model_billions=... mends both."
        )
    elif memory.total > spec.gpu_memory:
        yield (
            f"About {memory.total:.0f} GiB per GPU are needed with a micro batch of 1, and there "
            f"are {spec.gpu_memory:g}: shorten --set sequence_length, or add GPUs."
        )
