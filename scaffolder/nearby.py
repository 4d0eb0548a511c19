"""Where a model does not fit: the nearest choices with which it does, each tried by the planner.

First what changes nothing but how it is trained, on the same machines; then more machines for what
was asked.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaffolder import frameworks
from scaffolder.errors import InfeasiblePlan
from scaffolder.frameworks import Framework
from scaffolder.instead import Instead, TooLarge
from scaffolder.numbers import gib
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import NEAREST, OFFLINE, TUNINGS

USUAL_MACHINE = 8
"""GPUs of one, where a machine with fewer is not enough."""
MOST_MACHINES = 128
FULL = 0.9
"""Share of a GPU's memory that an estimate may take of what is offered."""
TUNED = {"full": "all weights", "lora": "LoRA", "qlora": "QLoRA"}


def plan(spec: ProjectSpec) -> Plan:
    """The plan of a spec that its framework supports.

    Raises:
        InvalidAnswers, BrokenFramework, UnsupportedChoice: as `frameworks.resolve`.
        InfeasiblePlan: where the model does not fit `TooLarge`, with what does.
    """
    framework = frameworks.resolve(spec)
    try:
        return framework.plan(spec)
    except TooLarge as error:
        raise TooLarge(error.reasons, instead(framework, spec)) from None


def instead(framework: Framework, spec: ProjectSpec) -> list[Instead]:
    """The nearest on the same machines, and the nearest with the same tuning; where neither is
    enough, the nearest with another tuning on more machines."""
    same: list[dict[str, Any]] = [{}]
    more, others = [*_machines(spec)], [{"tuning": word} for word in _lighter(framework, spec)]
    found = [_first(framework, spec, *both) for both in ((others, same), (same, [*same, *more]))]
    found = [each for each in found if each] or [_first(framework, spec, others, more)]
    return [each for each in found if each]


def _lighter(framework: Framework, spec: ProjectSpec) -> Sequence[str]:
    """Ways of tuning that keep less in memory, the nearest first."""
    return [word for word in TUNINGS[TUNINGS.index(spec.tuning) + 1 :] if word in framework.tunings]


def _machines(spec: ProjectSpec) -> Iterator[dict[str, Any]]:
    """More GPUs, the fewest first: a fuller machine, then more machines."""
    sizes = [2**power for power in range(1, 7)]
    larger = [size for size in sizes if spec.gpus_per_node < size <= USUAL_MACHINE]
    yield from ({"gpus_per_node": size} for size in larger)
    whole = max(spec.gpus_per_node, USUAL_MACHINE)
    for nodes in (2**power for power in range(1, MOST_MACHINES.bit_length())):
        if nodes > spec.nodes:
            yield {"nodes": nodes} | (
                {"gpus_per_node": whole} if whole != spec.gpus_per_node else {}
            )


def _first(
    framework: Framework,
    spec: ProjectSpec,
    tunings: Sequence[Mapping[str, Any]],
    machines: Sequence[Mapping[str, Any]],
) -> Instead | None:
    """The first combination that fits, with the sharding and the generation that were asked for,
    else with others."""
    for more, one, other in itertools.product(_ways(framework, spec), machines, tunings):
        changes = {**one, **other, **more}
        if changes and (plan := _fitting(framework, spec, changes)):
            return Instead(changes, _words(spec.model_copy(update=changes), plan))
    return None


def _ways(framework: Framework, spec: ProjectSpec) -> Iterator[dict[str, Any]]:
    shardings = [None] if spec.sharding else []
    generations = [] if spec.algorithm in OFFLINE else [*_generations(framework, spec)]
    for sharding, generation in itertools.product(["", *shardings], ["", *generations]):
        changes = {} if sharding == "" else {"sharding": sharding}
        yield changes | ({} if generation == "" else {"generation": generation})


def _generations(framework: Framework, spec: ProjectSpec) -> Sequence[str]:
    """Other ways to generate, the nearest first."""
    now = spec.generation or framework.generations[0]
    near = NEAREST.get(now, ())
    others = [word for word in framework.generations if word != now]
    return sorted(others, key=lambda word: near.index(word) if word in near else len(near))


def _fitting(framework: Framework, spec: ProjectSpec, changes: Mapping[str, Any]) -> Plan | None:
    changed = spec.model_copy(update=dict(changes))
    if framework.unsupported(changed):
        return None
    try:
        plan = framework.plan(changed)
    except InfeasiblePlan:
        return None
    return plan if plan.memory and plan.memory.total <= FULL * spec.gpu_memory else None


def _words(spec: ProjectSpec, plan: Plan) -> str:
    gpus = spec.nodes * spec.gpus_per_node
    used = f"{plan.memory.total:.0f} of {gib(spec.gpu_memory)}" if plan.memory else ""
    return f"{TUNED[spec.tuning]} on {gpus} GPU{'s' if gpus > 1 else ''}, about {used} each"
