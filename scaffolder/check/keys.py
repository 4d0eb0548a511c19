"""The keys of the configs against the schema: unknown, doubled, missing, of another algorithm."""

import difflib
import re
from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING

from scaffolder import frameworks
from scaffolder.check.values import judge
from scaffolder.project import Config, Finding, Project
from scaffolder.schema import Schema

if TYPE_CHECKING:
    from rl_rollouts.config import Entry

REFERENCE = re.compile(r"\$\{(\w[\w.]*)\}")
"""The value of another key, `${trainer.nnodes}`."""


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
    others = [project.yaml(name) for name in schema.files] if schema else []
    for config in (*project.configs, *others):
        if config.problem:
            yield config.problem
            continue
        yield from _doubled(config, config.entries)
        if schema is not None and config in others:
            yield from _keys(schema, config, config.file)
        elif schema is not None:
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
    yield from _keys(schema, config, algorithm)


def _keys(schema: Schema, config: Config, algorithm: str) -> Iterator[Finding]:
    """Those of a config, and those that are not there.

    Args:
        algorithm: or the name of a file that is the same for all.
    """
    yield from _walk(schema, config, algorithm, config.entries, "")
    for key in schema.keys(algorithm).values():
        if key.required and not config.entry(key.name):
            yield config.finding("error", None, f"{key.name} is missing", "Add it.")


def _walk(
    schema: Schema, config: Config, algorithm: str, entries: "Sequence[Entry]", prefix: str
) -> Iterator[Finding]:
    """The entries of a file; a mapping whose keys are known one by one is walked into."""
    keys, sections = schema.keys(algorithm), schema.sections(algorithm)
    for entry in entries:
        name = prefix + entry.key
        is_section = name in sections
        if is_section and isinstance(entry.value, dict):
            yield from _walk(schema, config, algorithm, entry.below, f"{name}.")
        elif name in keys:
            if schema.interpolates and "${" in str(entry.value):
                yield from _referred(config, {*keys, *sections}, entry)
                continue
            if wrong := judge(keys[name], entry.value):
                yield Finding(*wrong, config.file, entry.line)
        elif is_section:
            problem = f"{name} is a section of keys, and here it is {entry.value!r}"
            yield Finding("error", problem, "Write its keys below it.", config.file, entry.line)
        else:
            yield _unknown(schema, config, algorithm, name, entry)


def _referred(config: Config, known: Set[str], entry: "Entry") -> Iterator[Finding]:
    """Keys whose values stand for this one; a resolver, `${oc.env:HOME}`, and what is relative are
    left alone."""
    for name in REFERENCE.findall(str(entry.value)):
        if name not in known and config.entry(name) is None:
            near = difflib.get_close_matches(name, known, n=1)
            problem = f"{entry.key}: there is no key {name} whose value it could be"
            remedy = f"Did you mean {near[0]}?" if near else "Correct the name."
            yield Finding("error", problem, remedy, config.file, entry.line)


def _unknown(schema: Schema, config: Config, algorithm: str, name: str, entry: "Entry") -> Finding:
    near, other = schema.nearest(name, algorithm), schema.elsewhere(name)
    remedy = f"Did you mean {near}?" if near else "Remove it."
    owner = config.file if algorithm == config.file else f"{schema.framework} {schema.version}"
    problem = f"{name} is no key of {owner}"
    if other:
        problem = f"{name} is a key of {other[1].owner}, and the algorithm here is {algorithm}"
        remedy = "Remove it."
    return Finding("error", problem, remedy, config.file, entry.line)
