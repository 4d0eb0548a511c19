"""The arithmetic of the trainer in the template (`Settings.batch_problem`), before launch."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from scaffolder.project import Config, Finding, Project
from scaffolder.schema import Key, load

HERE = Path(__file__).parent


def check(project: Project) -> Iterator[Finding]:
    schema = load(HERE, project.plan.framework_version)
    keys = schema.keys(project.spec.algorithm) if schema else {}
    for config in project.configs:
        online = config.get("algorithm", project.spec.algorithm) == "grpo"
        world = 1 if config.is_smoke else project.plan.world_size
        yield from _batch(config, keys, world, online, project.plan.global_batch_size)
        if online:
            yield from _lengths(config, keys)


def _batch(
    config: Config, keys: Mapping[str, Key], world: int, online: bool, planned: int
) -> Iterator[Finding]:
    batch = _number(config, keys, "global_batch_size")
    micro = _number(config, keys, "micro_batch_size")
    group = _number(config, keys, "num_generations") if online else 1
    if not (batch and micro and group):
        return
    together = math.lcm(micro * world, group)
    words = f"micro_batch_size {micro} x {world} processes"
    if online:
        words += f", in groups of {group} responses"
    if batch % together:
        yield config.finding(
            "error",
            "global_batch_size",
            f"global_batch_size {batch} is no multiple of {together} ({words})",
            f"Set it to {max(1, batch // together) * together}.",
        )
    elif not config.is_smoke and batch != planned:
        yield config.finding(
            "warning",
            "global_batch_size",
            f"global_batch_size is {batch}, and {planned} was planned",
            "Mean it, and scale learning_rate; or mend it.",
        )


def _lengths(config: Config, keys: Mapping[str, Key]) -> Iterator[Finding]:
    longest = _number(config, keys, "max_length")
    response = _number(config, keys, "max_new_tokens")
    if longest and response and response >= longest:
        yield config.finding(
            "error",
            "max_new_tokens",
            f"max_new_tokens {response} leave no room for a prompt in max_length {longest}",
            "Lower the one, or raise the other.",
        )


def _number(config: Config, keys: Mapping[str, Key], name: str) -> int | None:
    """A positive whole number, or the default of its key; of what is none another check speaks."""
    value = config.get(name, keys[name].default if name in keys else None)
    return value if isinstance(value, int) and value > 0 else None
