"""The batch arithmetic of the trainer in the template (`Settings.batch_problem`), before launch."""

from collections.abc import Iterator

from scaffolder.frameworks._schema import Schema
from scaffolder.project import Finding, Project


def check(project: Project) -> Iterator[Finding]:
    schema = Schema.load("custom", project.plan.framework_version)
    keys = schema.keys(project.spec.algorithm) if schema else {}
    for config in project.configs:
        world = 1 if config.is_smoke else project.plan.world_size
        batch, micro = (
            config.get(name, keys[name].default if name in keys else None)
            for name in ("global_batch_size", "micro_batch_size")
        )
        if not (isinstance(batch, int) and isinstance(micro, int) and batch > 0 and micro > 0):
            continue
        together = micro * world
        if batch % together:
            yield config.finding(
                "error",
                "global_batch_size",
                f"global_batch_size {batch} is no multiple of {together} "
                f"(micro_batch_size {micro} x {world} processes)",
                f"Set it to {max(1, batch // together) * together}.",
            )
        elif not config.is_smoke and batch != project.plan.global_batch_size:
            yield config.finding(
                "warning",
                "global_batch_size",
                f"global_batch_size is {batch}, and {project.plan.global_batch_size} was planned",
                "Mean it, and scale learning_rate; or mend it.",
            )
