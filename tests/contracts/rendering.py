"""Single files of projects, rendered in milliseconds: a whole matrix of configs in seconds.

The same Jinja environment as Copier's, without its git and its files; `tests/test_rendering.py`
compares the two. Copier itself need not be installed where this runs.
"""

import itertools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from scaffolder import library, templates
from scaffolder import spec as specs
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


def write(variant: Variant, folder: Path) -> None:
    """What a check reads of a project, without waiting for Copier."""
    spec, plan = variant.spec, variant.plan
    assert plan is not None
    given = {"online": plan.dataset_kind == "prompts", "server": plan.server is not None}
    for name in ("base", spec.framework, spec.topology):
        overlay = templates.root() / f"{{{{{name}}}}}"
        for file in sorted(path for path in overlay.rglob("*") if path.is_file()):
            parts = file.relative_to(overlay).parts
            if "_partials" in parts or "__pycache__" in parts:
                continue
            if all(given[part[2:-2]] for part in parts if part[2:-2] in given):
                _put(variant, file, folder / Path(*(each for each in parts if "{{" not in each)))
    library.put(folder)
    (folder / ".copier-answers.yml").write_text(yaml.safe_dump(variant.answers()), "utf-8")


def _put(variant: Variant, file: Path, target: Path) -> None:
    if "{{" in file.name:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix != ".jinja":
        shutil.copy(file, target)
        return
    name = file.relative_to(templates.root()).as_posix()
    target = target.with_suffix("")
    target.write_text(_environment().get_template(name).render(variant.answers()), "utf-8")
    target.chmod(file.stat().st_mode)


@cache
def _environment() -> SandboxedEnvironment:
    options = yaml.safe_load((templates.root() / "copier.yml").read_text("utf-8"))["_envops"]
    assert options.pop("undefined") == "jinja2.StrictUndefined"
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    loader = FileSystemLoader(Path(templates.root()))
    return SandboxedEnvironment(
        loader=loader, extensions=extensions, undefined=StrictUndefined, **options
    )
