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
"""Rates of adapters are that many times those of all weights. Source: LoRA Without Regret, 2025."""


class Usual(NamedTuple):
    """From the smallest to the largest that is usual."""

    low: float
    high: float
    source: str


RATES = {
    "sft": Usual(1e-6, 1e-4, "Llama 2 2e-5, InstructGPT 1e-5, Tülu 3 5e-6"),
    "dpo": Usual(1e-7, 1e-5, "the DPO paper 1e-6, Zephyr and Tülu 3 5e-7"),
    "kto": Usual(1e-7, 1e-5, "the authors of KTO 5e-7 to 5e-6"),
    "rm": Usual(1e-6, 1e-4, "InstructGPT 9e-6, Tülu 3 3e-6"),
}
ONLINE = Usual(1e-7, 1e-5, "DeepSeekMath and DAPO 1e-6, Tülu 3 3e-7, DeepSeek-R1-Zero 3e-6")
OTHERS = {
    "critic_learning_rate": Usual(1e-6, 1e-4, "InstructGPT 9e-6, VAPO 2e-6"),
    "temperature": Usual(0.6, 1.2, "Tülu 3, DAPO and DeepSeek-R1-Zero 1.0"),
    "warmup": Usual(0, 0.1, "Tülu 3 0.03, Zephyr 0.1"),
    "max_grad_norm": Usual(0, 2, "Llama 2 1.0"),
    "weight_decay": Usual(0, 0.1, "Llama 2 0.1, Tülu 3 0"),
}
KL = {
    True: Usual(0, 0.1, "DAPO 0, DeepSeek-R1-Zero 0.001, DeepSeekMath 0.04"),
    False: Usual(0.01, 1, "the DPO and KTO papers 0.1"),
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
