"""The keys of the configs against the schema: unknown, doubled, missing, of another algorithm."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scaffolder import frameworks
from scaffolder.check.values import judge
from scaffolder.project import Config, Finding, Project
from scaffolder.schema import Schema

if TYPE_CHECKING:
    from rl_rollouts.config import Entry


def check(project: Project) -> Iterator[Finding]:
    version = project.plan.framework_version
    adapter = frameworks.get(project.spec.framework)
    schema = adapter.schema(version)
    if schema is None:
        title = adapter.title
        yield Finding(
            "note",
            f"the keys of the configs were not checked: those of {title} {version} are not known",
            f"See what {title} says, or update the project.",
        )
    for config in project.configs:
        if config.problem:
            yield config.problem
            continue
        yield from _doubled(config, config.entries)
        if schema is not None:
            yield from _against(schema, config, _algorithm(project, config))


def _algorithm(project: Project, config: Config) -> str:
    """Of the config where it says so, else of the answers."""
    spec = project.spec
    return frameworks.get(spec.framework).schema_name(config, spec.algorithm)


def _doubled(config: Config, entries: "Sequence[Entry]") -> Iterator[Finding]:
    lines: dict[str, int] = {}
    for entry in entries:
        if entry.key in lines:
            problem = f"{entry.key} stands here and in line {lines[entry.key]}; the last one counts"
            yield Finding("error", problem, "Remove one of them.", config.file, entry.line)
        lines[entry.key] = entry.line
        yield from _doubled(config, entry.below)


def _against(schema: Schema, config: Config, algorithm: str) -> Iterator[Finding]:
    if algorithm not in schema.algorithms:
        names = ", ".join(schema.algorithms)
        problem = f"{schema.framework} has no algorithm {algorithm} here"
        yield config.finding("error", "algorithm", problem, f"It can be {names}.")
        return
    yield from _walk(schema, config, algorithm, config.entries, "")
    for key in schema.keys(algorithm).values():
        if key.required and not config.entry(key.name):
            yield config.finding("error", None, f"{key.name} is missing", "Add it.")


def _walk(
    schema: Schema, config: Config, algorithm: str, entries: "Sequence[Entry]", prefix: str
) -> Iterator[Finding]:
    """The entries of a file; a mapping whose keys are known one by one is walked into."""
    keys = schema.keys(algorithm)
    for entry in entries:
        name = prefix + entry.key
        if name in keys:
            if schema.interpolates and "${" in str(entry.value):
                continue
            if wrong := judge(keys[name], entry.value):
                yield Finding(*wrong, config.file, entry.line)
        elif any(key.startswith(f"{name}.") for key in keys):
            yield from _walk(schema, config, algorithm, entry.below, f"{name}.")
        else:
            yield _unknown(schema, config, algorithm, name, entry)


def _unknown(schema: Schema, config: Config, algorithm: str, name: str, entry: "Entry") -> Finding:
    near, other = schema.nearest(name, algorithm), schema.elsewhere(name)
    remedy = f"Did you mean {near}?" if near else "Remove it."
    problem = f"{name} is no key of {schema.framework} {schema.version}"
    if other:
        problem = f"{name} is a key of {other[1].owner}, and the algorithm here is {algorithm}"
        remedy = "Remove it."
    return Finding("error", problem, remedy, config.file, entry.line)
