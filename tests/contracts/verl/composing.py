"""Rendered configs through the project's own settings and verl's own validation."""

import contextlib
import copy
import functools
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import verl_settings
from contracts.rendering import Variant, variant
from scaffolder.frameworks import discover
from scaffolder.vocabulary import OFFLINE, Algorithm
from verl_checks import check_config
from verl_settings import Settings

ADAPTER = discover()["verl"]
MACHINES = ((1, 1), (1, 8), (2, 8), (16, 8))
"""Machines, and GPUs of each."""
MODELS = ("org/m-0.5b", "org/m-1.7b", "org/m-8b", "org/m-32b", "org/m-70b")
_compose = functools.cache(verl_settings._composed)


def composed(what: str, name: str, overrides: Sequence[str]) -> Any:
    """As verl_settings does it, once for each tree: hundreds of configs begin with the same."""
    return copy.deepcopy(_compose(what, name, tuple(overrides)))


def settings_of(folder: Path, text: str, overrides: Sequence[str] = ()) -> Settings:
    """A config as train_verl.py reads it, with some rows."""
    config, data = folder / "verl_config.yaml", folder / "training_data.jsonl"
    config.write_text(text, "utf-8")
    data.write_text("{}\n")
    return verl_settings.read(config, data, overrides)


def validated(folder: Path, text: str, overrides: Sequence[str] = ()) -> Settings:
    """The same, and validated by verl."""
    settings = settings_of(folder, text, overrides)
    with contextlib.redirect_stdout(io.StringIO()):
        check_config(settings)
    return settings


def choices(algorithm: Algorithm) -> Iterator[Mapping[str, Any]]:
    """Engines of training and of generation, and what is trained."""
    generations = (None,) if algorithm in OFFLINE else ADAPTER.generations
    for (sharding, tuning), generation in itertools.product(
        (("fsdp2", "full"), ("fsdp2", "lora"), ("megatron", "full")), generations
    ):
        yield {"sharding": sharding, "tuning": tuning, "generation": generation}


def chosen(algorithm: Algorithm, nodes: int, gpus: int) -> Iterator[Variant]:
    """All variants of an algorithm on some machines."""
    for model, choice in itertools.product(MODELS, choices(algorithm)):
        if choice["generation"] == "sglang_colocate" and model != MODELS[2]:
            continue  # It differs in one word, and adapters in three numbers.
        if choice["tuning"] == "lora" and model not in MODELS[2::2]:
            continue
        given = {name: value for name, value in choice.items() if value is not None}
        yield variant("verl", algorithm, nodes=nodes, gpus_per_node=gpus, model=model, **given)
