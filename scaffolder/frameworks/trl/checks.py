"""The arithmetic that TRL 1.16.0 asserts once the GPUs are waiting, before they are.

Sources: `GRPOConfig.__post_init__`, which `RLOOConfig` repeats, and `KTOTrainer.__init__`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaffolder.machine import is_taken
from scaffolder.numbers import nearest
from scaffolder.project import Config, Finding, Project
from scaffolder.schema import load
from scaffolder.vocabulary import OFFLINE

HERE = Path(__file__).parent
ACCELERATE = "accelerate_config.yaml"


def check(project: Project) -> Iterator[Finding]:
    accelerate = project.yaml(ACCELERATE)
    if accelerate.problem:
        yield accelerate.problem
    else:
        yield from _processes(project, accelerate)
    processes = accelerate.get("num_processes", project.plan.world_size)
    for config in project.configs:
        world = 1 if config.is_smoke else processes
        if not config.problem and isinstance(world, int) and world > 0:
            yield from _Batch(project, config, world).findings()
    yield from _group_port(project)


def _processes(project: Project, accelerate: Config) -> Iterator[Finding]:
    """World counts training GPUs only; the others belong to the generation server."""
    plan, said = project.plan, accelerate.get("num_processes")
    if said != plan.world_size:
        others = f", beside {plan.generation_gpus} that generate" if plan.generation_gpus else ""
        yield accelerate.finding(
            "error" if not isinstance(said, int) or said > plan.world_size else "warning",
            "num_processes",
            f"num_processes is {said}, and {plan.world_size} GPU(s) were planned to train{others}",
            f"Write {plan.world_size}, or render the project for other GPUs.",
        )
    machines = accelerate.get("num_machines", 1)
    if machines != plan.training_nodes:
        yield accelerate.finding(
            "error",
            "num_machines",
            f"num_machines is {machines}, and {plan.training_nodes} were planned to train",
            f"Write {plan.training_nodes}.",
        )


class _Batch:
    """One config's numbers over so many training processes, with TRL's defaults."""

    def __init__(self, project: Project, config: Config, world: int) -> None:
        self.project, self.config, self.world = project, config, world
        self.algorithm = str(config.get("algorithm", project.spec.algorithm))
        schema = load(HERE, project.plan.framework_version)
        self.keys = schema.keys(self.algorithm) if schema else {}
        self.micro = self.number("per_device_train_batch_size")
        self.accumulated = self.number("gradient_accumulation_steps")

    def value(self, name: str) -> Any:
        key = self.keys.get(name)
        return self.config.get(name, key.default if key else None)

    def number(self, name: str) -> int | None:
        """None for what is no whole number above 0, of which the checks of keys speak."""
        value = self.value(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and value > 0 else None

    def findings(self) -> Iterator[Finding]:
        if self.micro is None or self.accumulated is None:
            return
        yield from self._global_batch(self.micro, self.accumulated)
        if self.algorithm == "kto":
            yield from self._divergence(self.micro)
        if self.algorithm not in OFFLINE:
            yield from self._groups(self.micro, self.accumulated)
            yield from self._evaluation()
            yield from self._engine()

    def _global_batch(self, micro: int, accumulated: int) -> Iterator[Finding]:
        planned, together = self.project.plan.global_batch_size, micro * accumulated * self.world
        if self.config.is_smoke or together == planned:
            return
        yield self.config.finding(
            "warning",
            "per_device_train_batch_size",
            f"{micro} per GPU x {accumulated} accumulated x {self.world} processes are {together} "
            f"rows per optimizer step, and {planned} were planned",
            "Mean it, and scale learning_rate; or mend one of the three.",
        )

    def _divergence(self, micro: int) -> Iterator[Finding]:
        if self.value("loss_type") == "apo_zero_unpaired":
            return
        order = self.value("train_sampling_strategy")
        if order not in {None, "sequential"}:
            problem = f"KTO pairs the rows of a batch beforehand, and their order is to be {order}"
            yield self._error("train_sampling_strategy", problem, "Remove it.")
        if micro < 2:
            yield self._error(
                "per_device_train_batch_size",
                "KTO estimates a KL divergence between the rows of a micro batch, and there is one",
                "Set per_device_train_batch_size to 2 or more.",
            )

    def _engine(self) -> Iterator[Finding]:
        """vLLM beside the trainer, or a server that nobody starts."""
        if self.value("auto_find_batch_size") is True:
            problem = "auto_find_batch_size would break groups of responses, and TRL refuses it"
            remedy = "Remove it, and lower per_device_train_batch_size."
            yield self._error("auto_find_batch_size", problem, remedy)
        if self.value("use_vllm") is not True:
            return
        if self.value("vllm_mode") == "server":
            started = self.project.plan.server is not None
            if not started and self.value("vllm_server_base_url") is None:
                yield self.config.finding(
                    "warning",
                    "vllm_mode",
                    "vllm_mode is server, and this project was not planned with one to start",
                    "Give vllm_server_base_url, or render it with --generation vllm_server.",
                )
            return
        shared = self.number("vllm_tensor_parallel_size")
        if shared is not None and self.world % shared:
            yield self._error(
                "vllm_tensor_parallel_size",
                f"vLLM splits the model over {shared} GPU(s), which do not divide the {self.world} "
                "that train",
                f"Set vllm_tensor_parallel_size to a divisor of {self.world}.",
            )

    def _groups(self, micro: int, accumulated: int) -> Iterator[Finding]:
        group, explicit = self.number("num_generations"), self.number("generation_batch_size")
        steps, step = self.number("steps_per_generation"), micro * self.world
        if group is None:
            return
        if group < 2:
            problem = "num_generations is 1: a response is compared with the others of its prompt"
            yield self._error("num_generations", problem, "Set it to 2 or more.")
            return
        if explicit and steps:
            problem = "generation_batch_size and steps_per_generation are both set; TRL takes one"
            yield self._error("generation_batch_size", problem, "Remove one of them.")
            return
        if explicit and explicit % step:
            yield self._error(
                "generation_batch_size",
                f"generation_batch_size {explicit} is no multiple of {step} "
                f"({micro} per GPU x {self.world} processes)",
                f"Set it to {nearest(explicit, step)}.",
            )
            return
        batch = explicit or step * (steps or accumulated)
        if batch % group:
            yield self._error(
                "num_generations",
                f"{batch} responses are generated at once, which do not make whole groups of "
                f"num_generations = {group}",
                f"Make per_device_train_batch_size x {steps or accumulated} x {self.world} a "
                f"multiple of {group}, or set num_generations to {_divisor(batch, group)}.",
            )

    def _evaluation(self) -> Iterator[Finding]:
        strategy = self.value("eval_strategy")
        group = self.number("num_generations_eval") or self.number("num_generations")
        micro = self.number("per_device_eval_batch_size")
        if strategy in {None, "no", False} or group is None or micro is None:
            return
        together = micro * self.world
        if together % group:
            yield self._error(
                "per_device_eval_batch_size",
                f"{micro} per GPU x {self.world} processes are {together} responses at each "
                f"evaluation, which do not make whole groups of {group}",
                f"Set per_device_eval_batch_size to {_smallest(group, self.world)}.",
            )

    def _error(self, key: str, problem: str, remedy: str) -> Finding:
        return self.config.finding("error", key, problem, remedy)


def _divisor(batch: int, group: int) -> int:
    """The largest number of responses to a prompt that fits, and is not more than was asked for."""
    return max((each for each in range(2, group + 1) if batch % each == 0), default=batch)


def _smallest(group: int, world: int) -> int:
    return next(micro for micro in range(1, group + 1) if micro * world % group == 0)


def _group_port(project: Project) -> Iterator[Finding]:
    """Through which the trainer sends its weights to the server."""
    if project.plan.server is None or project.config.problem:
        return
    schema = load(HERE, project.plan.framework_version)
    key = schema.key(project.spec.algorithm, "vllm_group_port") if schema else None
    port = project.config.get("vllm_group_port", key.default if key else None)
    if isinstance(port, int) and is_taken(port):
        yield project.config.finding(
            "error",
            "vllm_group_port",
            f"port {port}, through which weights reach the server, is in use here",
            "Set vllm_group_port to a free one.",
        )
