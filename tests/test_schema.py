"""Config schemas: what is rendered stays inside them, and they can be read without the framework.

That they are what the installed packages say is a contract: `tests/contracts/*/test_schema.py`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.extraction import text, written
from contracts.rendering import SIZES, Variant, matrix, planned
from rl_rollouts.config import Entry
from scaffolder.check.values import judge
from scaffolder.frameworks import discover, names
from scaffolder.project import read_config
from scaffolder.schema import Key, Schema


def schema_of(framework: str) -> Schema:
    schema = discover()[framework].schema()
    assert schema is not None, f"no schema of {framework}: run `make schemas`"
    return schema


@pytest.mark.parametrize("framework", names())
def test_every_key_of_every_rendered_config_is_in_the_schema(
    framework: str, tmp_path: Path
) -> None:
    schema, variants, adapter = schema_of(framework), planned(framework), discover()[framework]
    assert {each.spec.algorithm for each in variants} == set(adapter.algorithms)
    assert len(variants) >= len(SIZES)
    for variant in variants:
        for name in (f"{framework}_config.yaml", "smoke_config.yaml"):
            (tmp_path / name).write_text(variant.render(name), "utf-8")
            config = read_config(tmp_path, name)
            keys = schema.keys(adapter.schema_name(config, variant.spec.algorithm))
            found = dict(leaves(config.entries, keys))
            assert set(found) <= set(keys), f"{variant} {name}"
            given = {key: value for key, value in found.items() if not refers(schema, value)}
            wrong = {key: judge(keys[key], value) for key, value in given.items()}
            assert not any(wrong.values()), f"{variant} {name}: {wrong}"


def leaves(
    entries: Iterable[Entry], keys: Mapping[str, Key], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Keys with dots between, down to those that the schema has, and their values."""
    for entry in entries:
        name = prefix + entry.key
        if entry.below and name not in keys:
            yield from leaves(entry.below, keys, f"{name}.")
        else:
            yield name, entry.value


def refers(schema: Schema, value: Any) -> bool:
    """Whether it is the value of another key."""
    return schema.interpolates and "${" in str(value)


@pytest.mark.parametrize("framework", names())
def test_what_is_refused_says_why(framework: str) -> None:
    for variant in matrix(framework):
        assert (variant.plan is None) == bool(variant.reasons), variant
        assert all(len(reason.split()) > 4 for reason in variant.reasons), variant


@pytest.mark.parametrize("name", ["trl_config.yaml", "smoke_config.yaml", "custom_config.yaml"])
def test_a_file_rendered_alone_is_the_one_that_copier_renders(new: Any, name: str) -> None:
    framework = "custom" if name.startswith("custom") else "trl"
    words = ["--framework", framework, "--algorithm", "sft", "--gpus-per-node", "8"]
    project = new("p", *words, "--model", "org/m-1.7b")
    matching: list[Variant] = [
        each
        for each in planned(framework)
        if each.spec.algorithm == "sft" and each.spec.nodes == 1 and each.spec.gpus_per_node == 8
    ]
    sharding = yaml.safe_load((project / ".copier-answers.yml").read_text())["plan"]["sharding"]
    (alone,) = [
        each for each in matching if (each.spec.sharding, each.spec.tuning) == (sharding, "full")
    ]
    assert alone.render(name) == (project / name).read_text("utf-8")


@pytest.mark.parametrize("framework", names())
def test_every_default_is_a_value_that_its_key_accepts(framework: str) -> None:
    """Were it not, the check would refuse configs that the framework takes."""
    schema = schema_of(framework)
    wrong = {
        f"{algorithm} {key.name}: {key.type}": verdict
        for algorithm in (*schema.algorithms, *schema.files)
        for key in schema.keys(algorithm).values()
        if not key.required
        and not refers(schema, key.default)
        and (verdict := judge(key, key.default))
    }
    assert not wrong


@pytest.mark.parametrize("framework", names())
def test_schema_files_are_sorted_and_hold_one_key_a_line(framework: str) -> None:
    path = written(framework)
    content = json.loads(path.read_text("utf-8"))
    assert (content["framework"], content["version"]) == (framework, discover()[framework].version)
    assert path.read_text("utf-8") == text(content)
    key = next(iter(next(iter(content["classes"].values()))["keys"]), "")
    assert all(len(line) < 1500 for line in path.read_text("utf-8").splitlines()), key


def test_a_key_says_its_type_default_choices_and_class() -> None:
    keys = schema_of("trl").keys("sft")
    limits = (("ge", 0),)
    expected = Key("learning_rate", "SFTConfig", "float", 2e-05, limits=limits, reads="argparse")
    assert keys["learning_rate"] == expected
    assert keys["dtype"].owner == "ModelConfig" and "bfloat16" in keys["dtype"].choices
    assert keys["algorithm"].required and not keys["output_dir"].required
    custom = schema_of("custom").keys("sft")
    assert custom["micro_batch_size"].limits == (("gt", 0),)
    assert custom["output_dir"].required


def test_a_class_wins_over_what_it_inherits() -> None:
    """transformers has 5e-5 and bf16 off; TRL's own classes say otherwise."""
    keys = schema_of("trl").keys("dpo")
    assert keys["learning_rate"].default == 1e-06
    assert keys["bf16"].type == "bool | None"


def test_the_nearest_key_is_named() -> None:
    schema = schema_of("trl")
    assert schema.nearest("learning_rat", "sft") == "learning_rate"
    assert schema.nearest("zzzzzz", "sft") is None
    assert schema.keys("no such algorithm") == {}


def test_a_version_without_a_schema_is_none() -> None:
    assert discover()["trl"].schema("0.1") is None


def test_templates_that_can_be_marked_are_known_by_their_hash() -> None:
    templates = schema_of("trl").chat_templates
    assert {"qwen3", "llama3"} <= set(templates)
    assert all(len(value) == 64 for value in templates.values())
