"""The keys that a project's README names stand in its config, for every framework and algorithm."""

import re
from pathlib import Path

import pytest

from contracts.rendering import Variant, planned
from scaffolder.frameworks import Framework, discover, names
from scaffolder.project import Config, read_config

KNOBS = ("model", "longest row, tokens", "learning rate", "passes over the data")


def config_of(variant: Variant, folder: Path) -> Config:
    name = f"{variant.spec.framework}_config.yaml"
    (folder / name).write_text(variant.render(name), "utf-8")
    return read_config(folder, name)


def keys_of_readme(readme: str) -> dict[str, list[str]]:
    """Knob -> the keys that its row names."""
    rows = (line.strip("| ").split(" | ") for line in readme.splitlines() if line.startswith("| "))
    return {row[0]: re.findall(r"`([^`]+)`", row[1]) for row in rows if row[0] in KNOBS}


@pytest.mark.parametrize("framework", names())
def test_each_knob_of_the_readme_is_in_the_config(framework: str, tmp_path: Path) -> None:
    for variant in planned(framework):
        readme, config = variant.render("README.md", "base"), config_of(variant, tmp_path)
        knobs = keys_of_readme(readme)
        assert tuple(knobs) == KNOBS and all(knobs.values()), f"{variant}: {knobs}"
        for key in (key for keys in knobs.values() for key in keys):
            assert config.entry(key), f"{variant}: the README names {key}"
        (output,) = re.findall(r"never overwritten: choose another `(.*?)`", readme)
        assert config.get(output) == "outputs/p"


@pytest.mark.parametrize("framework", names())
def test_what_a_key_holds_is_what_was_planned(framework: str, tmp_path: Path) -> None:
    for variant in planned(framework):
        spec, plan, config = variant.spec, variant.plan, config_of(variant, tmp_path)
        assert plan and plan.training
        keys = discover()[framework].keys(spec.algorithm)
        assert plan.training.config_keys == keys
        assert keys.model and keys.learning_rate and keys.epochs and keys.tracker
        assert config.get(keys.model) == spec.model
        assert config.get(keys.learning_rate) == pytest.approx(plan.training.learning_rate)
        assert config.get(keys.epochs) == spec.epochs
        assert sum(config.get(key) for key in keys.lengths) == spec.sequence_length
        assert spec.tracker in config.get(keys.tracker)
        assert keys.algorithm is None or config.get(keys.algorithm) == spec.algorithm


def test_sentences_that_all_share_name_no_key_of_another_framework() -> None:
    keys = {name: named(each) for name, each in discover().items()}
    for name in names():
        variant = planned(name)[0]
        own = variant.render("_partials/readme.md", name)
        shared = variant.render("README.md", "base").replace(own, "")
        said = set(re.findall(r"`([^`\s]+)`", shared)) & set().union(*keys.values())
        assert said <= keys[name], name


def named(framework: Framework) -> set[str]:
    """All keys that an adapter names."""
    every = [framework.keys(algorithm) for algorithm in framework.algorithms]
    single = {key for each in every for key in each.model_dump(exclude={"lengths"}).values() if key}
    return single | {key for each in every for key in each.lengths}
