"""From a spec to a plan: batch sizes, processes and GPUs, with words where they do not come out."""

import math
from collections.abc import Iterable

from scaffolder import details, library
from scaffolder.batches import responses_of_a_step, rows_of_a_step
from scaffolder.errors import InfeasiblePlan
from scaffolder.instead import TooLarge
from scaffolder.memory import (
    Memory,
    estimate_memory,
    model_billions,
    remarks,
    served_gib,
)
from scaffolder.numbers import gib, round_up
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.trainer import Trainer
from scaffolder.vocabulary import COLOCATED, OFFLINE, Sharding

TRACKER_REQUIREMENTS = {
    "tensorboard": ["tensorboard==2.21.0"],
    "wandb": ["wandb==0.31.0"],
    "mlflow": ["mlflow==3.18.0"],
    "none": [],
}
LARGEST_MICRO_BATCH = 8
THOUGHT = 8192
"""Tokens of a response with its reasoning, at least."""
FREE_FOR_CACHE = 0.25
"""Least share of a generation engine's memory that its weights leave for the key-value cache."""


def data_parallel_plan(spec: ProjectSpec, trainer: Trainer) -> Plan:
    """Plan a trainer whose processes all hold different rows.

    The launcher and the server's command are left for the adapter to fill in.

    Raises:
        InfeasiblePlan: with every reason, each naming numbers that would do.
    """
    return _Arithmetic(spec, trainer).plan()


class _Arithmetic:
    """The numbers of one spec and one trainer, in the order in which they follow."""

    def __init__(self, spec: ProjectSpec, trainer: Trainer) -> None:
        self.spec, self.trainer = spec, trainer
        self.billions = model_billions(spec)
        self.online = spec.algorithm not in OFFLINE
        self.generation = (spec.generation or trainer.generations[0]) if self.online else None
        self.server = self.generation == "vllm_server"
        self.engine_gpus = self._engine_gpus()
        self.nodes, self.per_node = self._training_machines()
        self.world = max(1, self.nodes * self.per_node)
        self.data_parallel = max(1, self.world // trainer.cost.model_parallel)
        self.responses = trainer.responses or spec.num_generations
        self.reserved, self.awake = self._taken()
        self.batch = spec.global_batch_size or self._usual_batch()
        self.sharding = spec.sharding or self._fitting_sharding()

    def plan(self) -> Plan:
        reasons = [*self._parallel_reasons(), *self._generation_reasons()]
        too_large = [*self._memory_reasons()]
        reasons += [*self._batch_reasons(), *too_large]
        reasons += details.refused(self.spec, self.trainer)
        if reasons:
            raise TooLarge(reasons) if too_large else InfeasiblePlan(reasons)
        micro = self._largest_micro_batch()
        memory = self._memory(micro) if self.billions is not None else None
        return Plan(
            dataset_kind=library.dataset_kind(self.spec.algorithm),
            framework_version=self.trainer.framework_version,
            requirements=[*self.trainer.requirements, *TRACKER_REQUIREMENTS[self.spec.tracker]],
            world_size=self.world,
            training_nodes=self.nodes,
            data_parallel=self.data_parallel,
            sharding=self.sharding,
            generation=self.generation,
            generation_gpus=self.engine_gpus if self.server else 0,
            generation_tensor_parallel=self.engine_gpus,
            global_batch_size=self.batch,
            micro_batch_size=micro,
            accumulation_steps=self.batch // self.data_parallel // micro,
            responses=self.responses if self.online else 0,
            memory=memory,
            training=details.chosen(self.spec, self.trainer),
            launcher=[],
            notes=list(self._notes(memory)),
        )

    def _engine_gpus(self) -> int:
        """GPUs that one copy of the generating model is spread over: the least power of two."""
        spec = self.spec
        if self.generation in {None, "transformers"}:
            return 1
        if self.server and spec.generation_gpus:
            return spec.generation_gpus
        share = 0.9 if self.server else self.trainer.engine_share
        room = share * spec.gpu_memory * (1 - FREE_FOR_CACHE)
        wanted = math.ceil(served_gib(self.billions or 0) / room)
        fitting: int = 1 << max(0, wanted - 1).bit_length()
        return fitting

    def _training_machines(self) -> tuple[int, int]:
        """Machines that train, and their GPUs; a server of its own has the last ones."""
        spec = self.spec
        if not self.server:
            return spec.nodes, spec.gpus_per_node
        if spec.nodes > 1:
            return spec.nodes - 1, spec.gpus_per_node
        return 1, spec.gpus_per_node - self.engine_gpus

    def _taken(self) -> tuple[float, float]:
        """GiB of each training GPU that generation keeps, and that it takes only while it works."""
        if self.generation in COLOCATED:
            return self.trainer.engine_takes(self.spec.gpu_memory)
        copied = self.trainer.copied_to_generate and self.generation == "transformers"
        return (served_gib(self.billions or 0) if copied and self.world > 1 else 0.0), 0.0

    def _usual_batch(self) -> int:
        if self.online:
            return responses_of_a_step(self.world, math.lcm(self.data_parallel, self.responses))
        return rows_of_a_step(self.data_parallel * self.trainer.smallest_micro_batch)

    def _fitting_sharding(self) -> Sharding:
        """The first that is offered; another one if its states took more than half of a GPU."""
        offered = self.trainer.shardings
        if self.world > 1 and self.billions is not None:
            for sharding in offered:
                if self._memory(1, sharding).states <= self.spec.gpu_memory / 2:
                    return sharding
            return min(offered, key=lambda each: self._memory(1, each).states)
        return offered[0]

    def _memory(self, micro: int, sharding: Sharding | None = None) -> Memory:
        assert self.billions is not None
        return estimate_memory(
            self.billions,
            self.spec,
            self.trainer.cost,
            micro_batch=micro,
            sharding=sharding or self.sharding,
            processes=self.world,
            reserved=self.reserved,
            awake=self.awake,
            generated=self._generated(),
        )

    def _generated(self) -> int:
        """Responses that the trainer itself writes at once, on one GPU."""
        if self.generation != "transformers":
            return 0
        at_once = self.trainer.generated_at_once
        return self.batch // self.data_parallel if at_once is None else at_once

    def _parallel_reasons(self) -> Iterable[str]:
        shared = self.trainer.cost.model_parallel
        if self.world % shared:
            yield (
                f"one copy of {self.spec.model} takes {shared} GPUs, which do not divide the "
                f"{self.world} that train; take a multiple of {shared}"
            )

    def _generation_reasons(self) -> Iterable[str]:
        spec, gpus = self.spec, self.engine_gpus
        if not self.online:
            return
        if spec.completion_length >= spec.sequence_length:
            yield (
                f"responses of {spec.completion_length} tokens leave no room for a prompt in a "
                f"sequence of {spec.sequence_length}; lower --set completion_length, or raise "
                "--set sequence_length"
            )
        if spec.thinking == "on" and spec.completion_length < THOUGHT:
            yield (
                f"a model that thinks seldom answers within {spec.completion_length} tokens; "
                f"take --set thinking=off, or --set completion_length={THOUGHT:d} and a "
                "--set sequence_length that leaves room for the prompt"
            )
        if self.server and (self.per_node < 1 or gpus > spec.gpus_per_node):
            yield (
                f"a generation server on {gpus} GPU(s) of its own leaves none of the "
                f"{spec.gpus_per_node} of a machine to train on; take more GPUs, "
                "--generation vllm_colocate, or a smaller --set generation_gpus"
            )
        if self.generation in COLOCATED and self.world % gpus:
            offered = "vllm_server" in self.trainer.generations
            other = ", or --generation vllm_server" if offered else ""
            yield (
                f"generating with {spec.model} takes {gpus} GPU(s) at "
                f"{self.trainer.engine_share:g} of {spec.gpu_memory:g} GiB each, which do not "
                f"divide the {self.world} that train; take a multiple of {gpus} GPUs{other}"
            )

    def _batch_reasons(self) -> Iterable[str]:
        batch, smallest = self.batch, self.trainer.smallest_micro_batch
        step, words = self.data_parallel * smallest, f"over {self.data_parallel} data-parallel GPUs"
        if smallest > 1:
            words += f" with at least {smallest} rows each"
        if self.online:
            step = math.lcm(self.data_parallel, self.responses)
            words += f" and into groups of {self.responses} responses"
        if batch % step:
            below, above = batch // step * step, round_up(batch, step)
            near = " or ".join(str(value) for value in (below, above) if value)
            yield (
                f"a global batch of {batch} does not divide {words}; "
                f"the nearest that do are {near} (--set global_batch_size=...)"
            )

    def _memory_reasons(self) -> Iterable[str]:
        spec, billions = self.spec, self.billions
        if billions is None or self.per_node < 1:
            return
        taken = max(self.reserved, self.awake)
        states, room = self._memory(1).states, spec.gpu_memory - taken
        if states <= room:
            return
        what = "all weights" if spec.tuning == "full" else f"adapters ({spec.tuning})"
        where = f"each of {self.world} GPUs" if self.world > 1 else "the one GPU"
        kept = f" beside {gib(taken)} that generation takes" if taken else ""
        yield (
            f"training {what} of {spec.model}, {billions:g} billion, takes {gib(states)} of "
            f"{where} for weights, gradients and optimizer states{kept}, and a GPU has "
            f"{gib(spec.gpu_memory)}"
        )

    def _largest_micro_batch(self) -> int:
        """Largest divisor of the rows of one process that leaves a tenth of the GPU free."""
        per_process, smallest = self.batch // self.data_parallel, self.trainer.smallest_micro_batch
        if self.billions is not None:
            for micro in range(min(per_process, LARGEST_MICRO_BATCH), smallest, -1):
                fits = self._memory(micro).total <= 0.9 * self.spec.gpu_memory
                if per_process % micro == 0 and fits:
                    return micro
        return smallest

    def _notes(self, memory: Memory | None) -> Iterable[str]:
        spec = self.spec
        yield from remarks(spec, memory, self.trainer.smallest_micro_batch)
        if self.generation not in {None, "transformers"} and self.engine_gpus > 1:
            yield (
                f"The engine splits the model over {self.engine_gpus} GPUs, which must divide its "
                "attention heads; --set generation_gpus=... takes another number for a server."
            )
        if self.server and spec.nodes > 1 and self.engine_gpus < spec.gpus_per_node:
            yield (
                f"The last machine generates, with {self.engine_gpus} of its {spec.gpus_per_node} "
                "GPUs: the model needs no more; --set generation_gpus=... takes another number."
            )
        yield from details.unused(spec, self.trainer)
        if self.online:
            yield from details.followed(spec, self.trainer, self.batch)
