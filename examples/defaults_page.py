"""Write the tables of docs/defaults.md: what is rendered, beside what each framework itself has.

python examples/defaults_page.py

What is rendered is read in rendered configs, a framework's defaults in its schema, which is
extracted from its package; its recipes, and why ours differ, stand in `defaults.yaml`.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from defaults_read import ROOT, SETTINGS, planned_grpo, run
from scaffolder.frameworks import discover
from scaffolder.numbers import gib

PAGE = ROOT / "docs" / "defaults.md"
TOLD = Path(__file__).with_name("defaults.yaml")
SIZES: tuple[Mapping[str, Any], ...] = (
    {"model": "org/m-0.6b", "gpus_per_node": 1},
    {"model": "org/m-8b", "gpus_per_node": 8},
    {"model": "org/m-32b", "gpus_per_node": 8, "nodes": 2},
    {"model": "org/m-72b", "gpus_per_node": 8, "nodes": 8},
)


class Row(NamedTuple):
    """One setting of one framework and algorithm."""

    setting: str
    framework: str
    algorithm: str
    rendered: str
    default: str
    recipe: str
    source: str

    @property
    def differs(self) -> bool:
        """From a recipe of the framework's own, or from its default where there is none."""
        return self.rendered != (self.recipe or self.default)


@cache
def told() -> Any:
    return yaml.safe_load(TOLD.read_text("utf-8"))


def rows() -> Iterator[Row]:
    for setting, (_, read) in SETTINGS.items():
        for framework, adapter in discover().items():
            for algorithm in adapter.algorithms:
                tuning = "lora" if "lora" in setting else "full"
                if tuning in adapter.offered(algorithm)["tuning"]:
                    own, theirs = run(framework, algorithm, tuning)
                    if (value := read(own)) is not None:
                        recipe = recipes(framework, algorithm).get(setting, ("", ""))
                        said = (shown(value), shown(read(theirs)), *recipe)
                        yield Row(setting, framework, algorithm, *said)


def recipes(framework: str, algorithm: str) -> dict[str, tuple[str, str]]:
    """What the framework's own recipes for it have, each with its source."""
    return {
        setting: (shown(value), source)
        for source, of in told()["recipes"].items()
        if of["framework"] == framework and algorithm in of["algorithms"]
        for setting, value in of["values"].items()
    }


def shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def reason(row: Row) -> str:
    """Why what is rendered differs; empty where nothing says."""
    asked = told()["reasons"].get(row.setting, {})
    return next((str(asked[words]) for words in asked if about(words, row)), "")


def about(words: str, row: Row) -> bool:
    """Whether a reason's words name the framework and algorithm, or leave them open."""
    named = set(words.split())
    frameworks = named & set(discover())
    algorithms = named - frameworks - {"all"}
    return row.framework in (frameworks or {row.framework}) and (
        row.algorithm in (algorithms or {row.algorithm})
    )


def settings_text() -> str:
    """A table for each setting."""
    parts = []
    for setting, (title, _) in SETTINGS.items():
        found = [row for row in rows() if row.setting == setting]
        head = (
            "framework",
            "algorithms",
            "rendered",
            "its default",
            "its recipe",
            "why ours differs",
        )
        parts.append(f"### {title}\n\n{table(head, grouped(found))}")
    return "\n".join(parts)


def grouped(found: Iterable[Row]) -> Iterator[list[str]]:
    """A line for algorithms that have all the same."""
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        why = reason(row) if row.differs else ""
        title = discover()[row.framework].title
        lines.setdefault((title, row.rendered, row.default, row.recipe, why), []).append(row)
    for (title, rendered, default, recipe, why), same in lines.items():
        sources = ", ".join(dict.fromkeys(row.source for row in same))
        algorithms = ", ".join(row.algorithm for row in same)
        said = f"{recipe} ({sources})" if recipe else ""
        yield [title, algorithms, rendered, default, said, why]


def sources_text() -> str:
    lines = []
    for name, of in told()["recipes"].items():
        lines.append([name, discover()[of["framework"]].title, of["source"]])
    return table(("recipe", "framework", "read in"), lines)


def sizes_text() -> str:
    """What of grpo depends on the size of the model and the GPUs."""
    head = (
        "framework",
        "model, GPUs",
        "batch",
        "on a GPU at once",
        "the model is",
        "generation",
        "memory",
    )
    return table(
        head, (line for name in discover() for size in SIZES for line in sized(name, size))
    )


def sized(framework: str, size: Mapping[str, Any]) -> Iterator[list[str]]:
    made = planned_grpo(framework, size)
    what = (
        f"{size['model'].removeprefix('org/m-')}, {size.get('nodes', 1)} x {size['gpus_per_node']}"
    )
    title, plan = discover()[framework].title, made.plan
    assert plan is not None
    prompts = f"{plan.global_batch_size // plan.responses} x {plan.responses}"
    memory = gib(plan.memory.total) if plan.memory else ""
    shared = plan.sharding if plan.world_size > 1 else "whole"
    apart = f" on {plan.generation_gpus} GPUs of its own" if plan.generation_gpus else ""
    generation = f"{plan.generation}{apart}, {plan.generation_tensor_parallel} GPU(s) an engine"
    yield [title, what, prompts, str(plan.micro_batch_size), shared, generation, memory]


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


BLOCKS = {"settings": settings_text, "sizes": sizes_text, "recipes": sources_text}


def updated(page: Path = PAGE) -> str:
    """Its text with the tables of today."""
    text = page.read_text("utf-8")
    for name, block in BLOCKS.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = before + begin + block() + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    PAGE.write_text(updated(), "utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
