"""Which GPUs of a run generate, and which train.

Hybrid: vLLM shares all GPUs with the trainer and sleeps while it works. Split: vLLM has GPUs of its
own, and both wait for each other. Asynchronous: the same, and vLLM goes on generating.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scaffolder.memory import model_billions, served_gib
from scaffolder.spec import ProjectSpec

SHARE = {"vllm_colocate": 0.5, "vllm_server": 0.9, "vllm_async": 0.9}
"""Of a GPU that vLLM may use, by where it is."""
FREE_FOR_CACHE = 0.25
"""Least share of that which the weights leave for the key-value cache."""


@dataclass(frozen=True)
class Placement:
    """GPUs of the actor, which its frozen copy shares, and of the engines."""

    nodes: int
    gpus: int
    """Of the actor, on each of those machines."""
    generating: int
    """That only generate; 0 where vLLM shares those of the actor."""
    tensor_parallel: int
    """GPUs of one engine."""

    @property
    def engines(self) -> int:
        return (self.generating or self.nodes * self.gpus) // self.tensor_parallel

    def problems(self, spec: ProjectSpec) -> Iterator[str]:
        """Why it cannot be, each with what to do."""
        whose = self.generating or self.nodes * self.gpus
        if self.generating > spec.gpus_per_node:
            yield (
                f"{self.generating} GPUs that generate are more than the {spec.gpus_per_node} of a "
                "machine; lower --set generation_gpus"
            )
        elif self.gpus < 1:
            yield (
                f"generating on GPUs of its own leaves none of the {spec.gpus_per_node} of a "
                "machine to train on; take more GPUs, or --generation vllm_colocate"
            )
        elif whose % self.tensor_parallel:
            yield (
                f"one engine with {spec.model} takes {self.tensor_parallel} GPU(s) of "
                f"{spec.gpu_memory:g} GiB, which do not divide the {whose} that generate; take a "
                f"multiple of {self.tensor_parallel} GPUs"
            )


def placed(spec: ProjectSpec, generation: str) -> Placement:
    """Where everything of an online run goes."""
    tensor = _engine_gpus(spec, SHARE[generation])
    if generation == "vllm_colocate":
        return Placement(spec.nodes, spec.gpus_per_node, 0, tensor)
    # A critic, which nothing shares GPUs with where they are split, has as many as the actor.
    groups = 2 if spec.algorithm == "ppo" and generation == "vllm_server" else 1
    if spec.nodes > 1:
        generating = spec.generation_gpus or spec.gpus_per_node
        return Placement(spec.nodes - 1, spec.gpus_per_node // groups, generating, tensor)
    generating = spec.generation_gpus or max(spec.gpus_per_node // 2, 1)
    return Placement(1, (spec.gpus_per_node - generating) // groups, generating, tensor)


def _engine_gpus(spec: ProjectSpec, share: float) -> int:
    """The least power of two over which the weights of one engine fit."""
    room = share * spec.gpu_memory * (1 - FREE_FOR_CACHE)
    wanted = math.ceil(served_gib(model_billions(spec) or 0) / room)
    return int(1 << max(0, wanted - 1).bit_length())
