"""Values far outside what is usual for the algorithm and the tuning, with the usual range.

Nothing refuses them, and a run with them learns nothing, or ends in NaN, hours later.
"""

from collections.abc import Iterator
from typing import NamedTuple

from scaffolder import frameworks
from scaffolder.check.values import judge
from scaffolder.numbers import plain
from scaffolder.project import Config, Finding, Project
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

FAR = 5
"""How many times a value lies outside of a range before it is said."""
ADAPTERS = 10
"""Rates of adapters are that many times those of all weights. Source: TRL's guide to PEFT."""


class Usual(NamedTuple):
    """From the smallest to the largest of what papers and the frameworks' own examples take."""

    low: float
    high: float
    source: str


# Read on 2026-11-25 in the wheels of trl 1.16.0 and verl 0.9.1, and in the papers.
RATES = {
    "sft": Usual(1e-6, 1e-4, "TRL 2e-5, verl's examples 1e-5 to 1e-4"),
    "dpo": Usual(1e-7, 1e-5, "the paper 5e-7 to 1e-6, TRL 1e-6"),
    "kto": Usual(1e-7, 1e-5, "the paper 5e-7 to 5e-6, TRL 1e-6"),
    "rm": Usual(1e-6, 1e-4, "TRL 1e-4, InstructGPT 9e-6"),
}
ONLINE = Usual(1e-7, 1e-5, "TRL, verl and the DAPO paper 1e-6")
OTHERS = {
    "critic_learning_rate": Usual(1e-6, 1e-4, "verl 1e-5"),
    "temperature": Usual(0.6, 1.2, "TRL and verl 1.0, the papers 0.6 to 1.0"),
    "warmup": Usual(0, 0.1, "the templates 0.03"),
    "max_grad_norm": Usual(0, 2, "TRL and verl 1.0"),
    "weight_decay": Usual(0, 0.1, "TRL 0.0, verl 0.01"),
}
KL = {
    True: Usual(0, 0.1, "TRL 0.0, verl 0.001, the GRPO paper 0.04"),
    False: Usual(0.01, 1, "the papers and TRL 0.1"),
}
"""Of online algorithms; of those that read pairs or opinions, where it is called beta."""


def check(project: Project) -> Iterator[Finding]:
    spec, config = project.spec, project.config
    if config.problem:
        return
    adapter = frameworks.get(spec.framework)
    meanings, schema = adapter.meanings(spec, project.plan), adapter.schema()
    for name, usual in _usual(spec).items():
        entry = config.entry(meanings[name].keys[0]) if name in meanings else None
        if entry is None:
            continue
        path = meanings[name].keys[0]
        key = schema.key(adapter.schema_name(config, spec.algorithm), path) if schema else None
        if key is None or judge(key, entry.value) is None:  # else the checks of keys speak
            yield from _judged(config, path, meanings[name].read(config), usual, spec)


def _usual(spec: ProjectSpec) -> dict[str, Usual]:
    rate = RATES.get(spec.algorithm, ONLINE)
    if spec.tuning != "full":
        rate = rate._replace(low=rate.low * ADAPTERS, high=rate.high * ADAPTERS)
    return {"learning_rate": rate, "kl_coefficient": KL[spec.algorithm not in OFFLINE], **OTHERS}


def _judged(
    config: Config, key: str, value: object, usual: Usual, spec: ProjectSpec
) -> Iterator[Finding]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if usual.low / FAR * 0.999 <= value <= usual.high * FAR * 1.001:
        return
    about = f"{spec.algorithm} ({spec.tuning})"
    problem = f"{key} is {plain(value)}, far outside of what is usual for {about}"
    remedy = f"Mean it, or take {plain(usual.low)} to {plain(usual.high)} ({usual.source})."
    yield config.finding("warning", key, problem, remedy)
