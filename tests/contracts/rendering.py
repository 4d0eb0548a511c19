"""Single files of projects, rendered in milliseconds: a whole matrix of configs in seconds.

The same Jinja environment as Copier's, without its git and its files; `tests/test_rendering.py`
compares the two. Copier itself need not be installed where this runs.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from scaffolder import spec as specs
from scaffolder import templates
from scaffolder.errors import InfeasiblePlan
from scaffolder.frameworks import discover, variants
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec

SIZES: tuple[Mapping[str, Any], ...] = (
    {"gpus_per_node": 1, "model": "org/m-0.6b"},
    {"gpus_per_node": 8, "model": "org/m-1.7b"},
    {"gpus_per_node": 8, "nodes": 2, "model": "org/m-1.7b"},
)
"""One GPU, one machine with eight, two such machines; each with a model that it can train."""


@dataclass(frozen=True)
class Variant:
    """One combination of choices, and what became of it."""

    spec: ProjectSpec
    plan: Plan | None
    reasons: tuple[str, ...]
    """Why it is refused; empty when there is a plan."""

    def __str__(self) -> str:
        spec = self.spec
        chosen = (spec.algorithm, spec.tuning, spec.sharding, spec.generation)
        return "-".join(
            [*(str(each) for each in chosen if each), f"{spec.nodes}x{spec.gpus_per_node}"]
        )

    def render(self, name: str, overlay: str | None = None) -> str:
        """One file of the project, by its name in an overlay; by default the framework's."""
        folder = f"{{{{{overlay or self.spec.framework}}}}}"
        return _environment().get_template(f"{folder}/{name}.jinja").render(self.answers())

    def answers(self) -> dict[str, Any]:
        """As they are given to Copier, and saved by it."""
        assert self.plan is not None
        return {**self.spec.model_dump(mode="json"), "plan": self.plan.model_dump(mode="json")}

    def config(self) -> str:
        return self.render(f"{self.spec.framework}_config.yaml")


def matrix(framework: str) -> Iterator[Variant]:
    """Every algorithm, size, tuning, sharding and generation that discovery has for a framework."""
    adapter = discover()[framework]
    for algorithm, size in itertools.product(adapter.algorithms, SIZES):
        for choice in variants(adapter, algorithm):
            yield variant(framework, algorithm, **size, **choice)


def planned(framework: str) -> list[Variant]:
    """Those of the matrix that are not refused."""
    return [variant for variant in matrix(framework) if variant.plan is not None]


def variant(framework: str, algorithm: str, **answers: Any) -> Variant:
    """One combination, planned or refused."""
    named = {"project_name": "p", "framework": framework, "algorithm": algorithm}
    spec, adapter = specs.build({**named, **answers}), discover()[framework]
    if reasons := adapter.unsupported(spec):
        return Variant(spec, None, tuple(reasons))
    try:
        return Variant(spec, adapter.plan(spec), ())
    except InfeasiblePlan as error:
        return Variant(spec, None, tuple(error.reasons))


@cache
def _environment() -> SandboxedEnvironment:
    options = yaml.safe_load((templates.root() / "copier.yml").read_text("utf-8"))["_envops"]
    assert options.pop("undefined") == "jinja2.StrictUndefined"
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    loader = FileSystemLoader(Path(templates.root()))
    return SandboxedEnvironment(
        loader=loader, extensions=extensions, undefined=StrictUndefined, **options
    )
