"""What the trainer in the template refuses (`problems_of` in its settings), before launch."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder import code
from scaffolder.machine import positions
from scaffolder.project import Config, Finding, Project
from scaffolder.schema import Key, load

HERE = Path(__file__).parent
FLASH = tuple(f"flash_attention_{number}" for number in (2, 3, 4))
ATTENTION = ("sdpa", "eager", "flex_attention", *FLASH)


def check(project: Project) -> Iterator[Finding]:
    schema = load(HERE, project.plan.framework_version)
    keys = schema.keys(project.spec.algorithm) if schema else {}
    for config in project.configs:
        if config.problem:
            continue
        values = Values(project, config, keys)
        yield from _batch(values)
        yield from _lengths(values)
        yield from _code(values)
        yield from _attention(values)
        beta = values.number("beta")
        if values.algorithm == "dpo" and beta == 0:
            problem = "beta is 0, and dpo learns only through it"
            yield values.error("beta", problem, "Set it to 0.1, say.")


@dataclass(frozen=True)
class Values:
    """One config with the defaults of the settings."""

    project: Project
    config: Config
    keys: Mapping[str, Key]

    def get(self, name: str) -> Any:
        return self.config.get(name, self.keys[name].default if name in self.keys else None)

    @property
    def algorithm(self) -> str:
        return str(self.config.get("algorithm", self.project.spec.algorithm))

    def number(self, name: str) -> int | float | None:
        """None for what the settings make no number of, of which the checks of keys speak."""
        return self.keys[name].number(self.get(name)) if name in self.keys else None

    def count(self, name: str) -> int | None:
        """A whole number above 0."""
        value = self.number(name)
        return int(value) if value and value > 0 and value % 1 == 0 else None

    def error(self, key: str, problem: str, remedy: str) -> Finding:
        return self.config.finding("error", key, problem, remedy)


def _batch(values: Values) -> Iterator[Finding]:
    project, config, online = values.project, values.config, values.algorithm == "grpo"
    batch, micro = values.count("global_batch_size"), values.count("micro_batch_size")
    group = values.count("num_generations") if online else 1
    if not (batch and micro and group):
        return
    world = 1 if config.is_smoke else project.plan.world_size
    together = math.lcm(micro * world, group)
    words = f"micro_batch_size {micro} x {world} processes"
    if online:
        words += f", in groups of {group} responses"
    planned = {
        "global_batch_size": project.plan.global_batch_size,
        "micro_batch_size": project.plan.micro_batch_size,
        "num_generations": project.spec.num_generations,
    }
    if batch % together:
        key = "global_batch_size"
        if not config.is_smoke:
            key = config.changed(planned, {name: values.number(name) for name in planned})
        fitting = max(1, batch // together) * together
        yield values.error(
            key,
            f"global_batch_size {batch} is no multiple of {together} ({words})",
            f"Set global_batch_size to {fitting}, or another {key}."
            if key != "global_batch_size"
            else f"Set it to {fitting}.",
        )
    elif not config.is_smoke and batch != project.plan.global_batch_size:
        yield config.finding(
            "warning",
            "global_batch_size",
            f"global_batch_size is {batch}, and {project.plan.global_batch_size} was planned",
            "Mean it, and scale learning_rate; or mend it.",
        )


def _lengths(values: Values) -> Iterator[Finding]:
    longest, response = values.count("max_length"), values.count("max_new_tokens")
    if not longest:
        return
    if values.algorithm == "grpo" and response and response >= longest:
        problem = f"max_new_tokens {response} leave no room for a prompt in max_length {longest}"
        yield values.error("max_new_tokens", problem, "Lower the one, or raise the other.")
    known = positions(values.get("model_name_or_path"), values.project.path)
    if known and longest > known:
        problem = f"max_length is {longest}, and the model has positions for {known} tokens"
        yield values.error("max_length", problem, f"Set it to {known} or less.")


def _attention(values: Values) -> Iterator[Finding]:
    """Names of transformers 5.23.0; one of a kernel on the Hub has a slash."""
    name = values.get("attn_implementation")
    if isinstance(name, str) and name not in ATTENTION and not set(name) & set("/|"):
        problem = f"transformers has no attention {name!r}"
        yield values.error("attn_implementation", problem, f"It can be {', '.join(ATTENTION)}.")


def _code(values: Values) -> Iterator[Finding]:
    """Functions and classes that the config names."""
    named = [("trainer", "", 0)]
    named += [("rewards", "score", 4)] if values.algorithm == "grpo" else []
    for key, default, arguments in named:
        name = values.get(key)
        if isinstance(name, str):
            problem = code.problem_of(values.project.path, name, default, arguments)
            if problem:
                yield values.error(key, f"{key}: {problem}", "Correct the name, or write it.")
