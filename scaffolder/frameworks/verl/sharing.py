"""How verl's trainer and its engine share GPUs: what a model costs, how Megatron divides it, and
the share of a GPU that the engine has."""

import math
from dataclasses import dataclass, replace

from scaffolder.errors import InfeasiblePlan
from scaffolder.memory import OVERHEAD, TrainingCost, model_billions
from scaffolder.plan import Plan
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.trainer import Trainer

# FSDP2 keeps weights in float32 (fsdp_config.model_dtype): 4, gradients 4, AdamW 8 bytes.
FSDP = TrainingCost(weight_bytes=4, gradient_bytes=4, optimizer_bytes=8)
# Megatron: bfloat16 weights, float32 gradients; master weights and Adam are split over all GPUs.
MEGATRON = TrainingCost(weight_bytes=2, gradient_bytes=4, optimizer_bytes=12)
ADAPTER_SHARE = 0.01
"""Weights that LoRA adds, of those of the model."""
ENGINE_SHARES = (0.5, 0.4)
"""Of a GPU, while it generates (rollout.gpu_memory_utilization). verl's recipe for 32B on 2 x 8
GPUs has the smaller one, beside which weights and states stay where they are."""
MOST_BESIDE = 0.88
"""Of a GPU, what states and an engine may take together: new weights pass through the rest."""
MOST_STATES = 0.75
"""Of a GPU, where Megatron divides the model."""


@dataclass(frozen=True)
class Megatron:
    """How Megatron divides one copy of the model."""

    tensor: int = 1
    """GPUs that share each matrix multiplication, all in one machine."""
    pipeline: int = 1
    """Groups of GPUs that have some of the layers each."""

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline


def cost_of(spec: ProjectSpec, megatron: Megatron) -> TrainingCost:
    cost = MEGATRON if spec.sharding == "megatron" else FSDP
    cost = replace(cost, model_parallel=megatron.gpus)
    if spec.tuning == "lora":
        # Frozen weights, with model_dtype bf16, and what is trained beside them.
        trained = (FSDP.gradient_bytes * ADAPTER_SHARE, FSDP.optimizer_bytes * ADAPTER_SHARE)
        cost = replace(cost, weight_bytes=2, gradient_bytes=trained[0], optimizer_bytes=trained[1])
    if spec.algorithm == "ppo":
        both = (2 * cost.weight_bytes, 2 * cost.gradient_bytes, 2 * cost.optimizer_bytes)
        cost = replace(cost, weight_bytes=both[0], gradient_bytes=both[1], optimizer_bytes=both[2])
    return cost


def division(spec: ProjectSpec) -> Megatron:
    """The least division at which the states of the model take no more than MOST_STATES of a GPU.

    Matrices are split over 2 GPUs, then the layers: a matrix that is split over 8 waits for its
    parts more than it computes, and over machines, which its GPUs never are, much more. verl's
    recipe for PPO of 8B on 8 GPUs is 2 x 2 as well.
    """
    billions, world = model_billions(spec) or 0, spec.nodes * spec.gpus_per_node
    room = spec.gpu_memory * MOST_STATES
    tensors = [each for each in (1, 2, 4, 8) if spec.gpus_per_node % each == 0]
    divisions = [
        Megatron(tensor, pipeline)
        for tensor in tensors
        for pipeline in (1, 2, 4, 8, 16)
        if world % (tensor * pipeline) == 0 and pipeline <= max(1, 2 * tensor * (tensor > 1))
    ] or [Megatron()]
    divisions.sort(key=lambda each: (each.gpus, abs(each.tensor - each.pipeline), -each.tensor))
    for each in divisions:
        states = billions * cost_of(spec, each).state_bytes("megatron", world)
        if states * 1e9 / 2**30 <= room:
            return each
    return divisions[-1]


def planned(spec: ProjectSpec, trainer: Trainer) -> tuple[Plan, float | None]:
    """The plan, and the share of an engine beside which weights and states can stay; None where
    they have to rest elsewhere while it generates, or their size is not known."""
    plan = data_parallel_plan(spec, trainer)
    states = plan.memory.states if plan.memory else math.inf
    room = MOST_BESIDE * spec.gpu_memory - OVERHEAD - states
    share = next((share for share in ENGINE_SHARES if share * spec.gpu_memory <= room), None)
    if share in {None, trainer.engine_share}:
        return plan, share
    try:
        return data_parallel_plan(spec, replace(trainer, engine_share=share)), share
    except InfeasiblePlan:  # the engine takes more GPUs then, which may not divide those there are
        return plan, None
