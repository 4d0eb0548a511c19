"""`rl-scaffolder check` refuses the batches and the texts that TRL refuses, and no others."""

import argparse
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from trl import TrlParser

from contracts.rendering import variant
from contracts.trl.parsing import accepted
from scaffolder.check import keys
from scaffolder.check.values import judge
from scaffolder.frameworks import discover
from scaffolder.project import Project, read_config
from scaffolder.vocabulary import OFFLINE
from trl_settings import classes_of

ADAPTER = discover()["trl"]
ONLINE = [algorithm for algorithm in ADAPTER.algorithms if algorithm not in OFFLINE]
TEXTS = ("16", "-1", "0.5", "1e-2", "1e3", "yes", "True", "on", "fast", "1_0", "none", "Null")
PLAIN = {"int", "float", "bool", "None"}
SAMPLES = 60
FILE = "trl_config.yaml"


def numbers(chance: random.Random) -> dict[str, Any]:
    """A batch as a person might set it; often one that does not divide."""
    drawn: dict[str, Any] = {
        "per_device_train_batch_size": chance.choice([1, 2, 3, 4, 6, 8]),
        "gradient_accumulation_steps": chance.choice([1, 2, 3, 4]),
        "num_generations": chance.choice([1, 2, 3, 4, 6, 8, 16]),
    }
    if chance.random() < 0.4:
        drawn["generation_batch_size"] = chance.choice([8, 12, 16, 24, 32, 64])
    if chance.random() < 0.3:
        drawn["steps_per_generation"] = chance.choice([1, 2, 4])
    if chance.random() < 0.4:
        drawn["eval_strategy"] = "steps"
        drawn["eval_steps"] = 10
        drawn["eval_data_path"] = "training_data.eval.jsonl"
        drawn["per_device_eval_batch_size"] = chance.choice([1, 2, 4, 8])
    if chance.random() < 0.1:
        drawn["auto_find_batch_size"] = True
    return drawn


@pytest.mark.parametrize("algorithm", ONLINE)
def test_the_same_batches_are_refused(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, chance, refused = variant("trl", algorithm), random.Random(algorithm), 0
    assert made.plan is not None
    accelerate = made.render("accelerate_config.yaml")
    (tmp_path / "rewards.py").write_text("def score(prompt, response, truth, about): return 0.0")
    for _ in range(SAMPLES):
        world, drawn = chance.choice([1, 2, 3, 4, 8]), numbers(chance)
        text = yaml.safe_dump({**yaml.safe_load(made.config()), **drawn})
        processes = accelerate.replace("num_processes: 1", f"num_processes: {world}")
        (tmp_path / "accelerate_config.yaml").write_text(processes, "utf-8")
        (tmp_path / FILE).write_text(text, "utf-8")
        project = Project(tmp_path, made.spec, made.plan, (read_config(tmp_path, FILE),))
        ours = [
            found.problem
            for check in (keys.check, *ADAPTER.checks)
            for found in check(project)
            if found.weight == "error" and found.file == FILE
        ]
        try:
            accepted(tmp_path, text, world, monkeypatch)
            theirs = ""
        except ValueError as error:
            theirs = str(error)
        assert bool(ours) == bool(theirs), f"{drawn} on {world}: ours {ours}, TRL's {theirs!r}"
        refused += bool(theirs)
    assert SAMPLES / 5 < refused < SAMPLES * 0.95, "both kinds were drawn"


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_the_same_texts_are_made_numbers_and_truth_values(algorithm: str) -> None:
    """TRL's parser converts a text of the config with the type of the option."""
    schema, asked = discover()["trl"].schema(), 0
    assert schema is not None
    for action in TrlParser(classes_of(algorithm))._actions:
        key = schema.key(algorithm, action.dest)
        negation = action.option_strings[0].startswith("--no_")
        if key is None or negation or not set(key.type.split(" | ")) <= PLAIN:
            continue
        for text in TEXTS:
            verdict = judge(replace(key, limits=()), text)
            refused = verdict is not None and verdict.weight == "error"
            assert refused != converts(action.type, text), f"{key} {text!r}: {verdict}"
            asked += refused
    assert asked > 100


def converts(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        return False
    return True
