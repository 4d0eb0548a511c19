"""The arithmetic of batches that TRL 1.16.0 asserts once the GPUs are waiting, before they are.

Sources: `GRPOConfig.__post_init__`, which `RLOOConfig` repeats, and `KTOTrainer.__init__`.
"""

from collections.abc import Iterator

from scaffolder.frameworks.trl.values import Values
from scaffolder.numbers import nearest
from scaffolder.project import Finding

MICRO, ACCUMULATED = "per_device_train_batch_size", "gradient_accumulation_steps"


def check(values: Values) -> Iterator[Finding]:
    micro, accumulated = values.count(MICRO), values.count(ACCUMULATED)
    if micro is None or accumulated is None:
        return
    yield from _global_batch(values, micro, accumulated)
    if values.algorithm == "kto":
        yield from _divergence(values, micro)
    if values.online:
        yield from _groups(values, micro, accumulated)
        yield from _evaluation(values)
        yield from _engine(values)


def _planned(values: Values) -> dict[str, object]:
    plan = values.project.plan
    return {MICRO: plan.micro_batch_size, ACCUMULATED: plan.accumulation_steps}


def _global_batch(values: Values, micro: int, accumulated: int) -> Iterator[Finding]:
    planned, together = values.project.plan.global_batch_size, micro * accumulated * values.world
    if values.config.is_smoke or together == planned:
        return
    yield values.config.finding(
        "warning",
        values.changed(_planned(values)),
        f"{micro} per GPU x {accumulated} accumulated x {values.world} processes are {together} "
        f"rows per optimizer step, and {planned} were planned",
        "Mean it, and scale learning_rate; or mend one of the three.",
    )


def _divergence(values: Values, micro: int) -> Iterator[Finding]:
    if values.get("loss_type") == "apo_zero_unpaired":
        return
    order = values.get("train_sampling_strategy")
    if order not in {None, "sequential"}:
        problem = f"KTO pairs the rows of a batch beforehand, and their order is to be {order}"
        yield values.error("train_sampling_strategy", problem, "Remove it.")
    if micro < 2:
        yield values.error(
            MICRO,
            "KTO estimates a KL divergence between the rows of a micro batch, and there is one",
            f"Set {MICRO} to 2 or more.",
        )


def _engine(values: Values) -> Iterator[Finding]:
    """vLLM beside the trainer, or a server that nobody starts."""
    if values.truth("auto_find_batch_size"):
        problem = "auto_find_batch_size would break groups of responses, and TRL refuses it"
        remedy = f"Remove it, and lower {MICRO}."
        yield values.error("auto_find_batch_size", problem, remedy)
    if not values.truth("use_vllm"):
        return
    if values.get("vllm_mode") == "server":
        started = values.project.plan.server is not None
        if not started and values.get("vllm_server_base_url") is None:
            yield values.config.finding(
                "warning",
                "vllm_mode",
                "vllm_mode is server, and this project was not planned with one to start",
                "Give vllm_server_base_url, or render it with --generation vllm_server.",
            )
        return
    shared = values.count("vllm_tensor_parallel_size")
    if shared is not None and values.world % shared:
        yield values.error(
            "vllm_tensor_parallel_size",
            f"vLLM splits the model over {shared} GPU(s), which do not divide the {values.world} "
            "that train",
            f"Set vllm_tensor_parallel_size to a divisor of {values.world}.",
        )


def _groups(values: Values, micro: int, accumulated: int) -> Iterator[Finding]:
    group, explicit = values.count("num_generations"), values.count("generation_batch_size")
    steps, step = values.count("steps_per_generation"), micro * values.world
    if group is None or group < 2:
        return
    if explicit and steps:
        problem = "generation_batch_size and steps_per_generation are both set; TRL takes one"
        yield values.error("generation_batch_size", problem, "Remove one of them.")
        return
    if explicit and explicit % step:
        yield values.error(
            "generation_batch_size",
            f"generation_batch_size {explicit} is no multiple of {step} "
            f"({micro} per GPU x {values.world} processes)",
            f"Set it to {nearest(explicit, step)}.",
        )
        return
    batch = explicit or step * (steps or accumulated)
    if batch % group:
        planned = {"num_generations": values.project.spec.num_generations, **_planned(values)}
        yield values.error(
            values.changed(planned),
            f"{batch} responses are generated at once, which do not make whole groups of "
            f"num_generations = {group}",
            f"Make {MICRO} x {steps or accumulated} x {values.world} a multiple of {group}, or "
            f"set num_generations to {_divisor(batch, group)}.",
        )


def _evaluation(values: Values) -> Iterator[Finding]:
    group = values.count("num_generations_eval") or values.count("num_generations")
    micro = values.count("per_device_eval_batch_size")
    if not values.evaluates or group is None or micro is None:
        return
    together = micro * values.world
    if together % group:
        yield values.error(
            "per_device_eval_batch_size",
            f"{micro} per GPU x {values.world} processes are {together} responses at each "
            f"evaluation, which do not make whole groups of {group}",
            f"Set per_device_eval_batch_size to {_smallest(group, values.world)}.",
        )


def _divisor(batch: int, group: int) -> int:
    """The largest number of responses to a prompt that fits, and is not more than was asked for."""
    return max((each for each in range(2, group + 1) if batch % each == 0), default=batch)


def _smallest(group: int, world: int) -> int:
    return next(micro for micro in range(1, group + 1) if micro * world % group == 0)
