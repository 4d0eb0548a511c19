"""Rows from the sample rollouts go through each trainer's own preparation, up to a batch."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import train_trl
from contracts.environment import ROOT
from contracts.rendering import Variant, matrix
from rl_rollouts.smoke import tiny_model
from scaffolder import library
from scaffolder.frameworks import discover
from scaffolder.vocabulary import Algorithm
from trl_checks import load_tokenizer
from trl_settings import algorithm_of, parse

BASE = ROOT / "templates" / "{{base}}"
SAMPLE = BASE / "tests" / "sample_rollouts.jsonl"
PREPARE = ROOT / "templates" / "{{trl}}" / "prepare_for_trl.py"
ALGORITHMS = {name: library.dataset_kind(name) for name in discover()["trl"].algorithms}
IN_A_BATCH = {
    "sft": {"input_ids", "labels"},
    "preference": {"input_ids"},
    "unpaired": {"input_ids"},
    "prompts": {"prompt", "ground_truth", "metadata"},
}
"""What every batch of a dataset kind has, whatever else the trainer adds."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_model.build(SAMPLE, folder)
    return folder


@pytest.fixture
def trainer(tmp_path: Path, model: Path) -> Iterator[Callable[[str], Any]]:
    """A trainer of an algorithm over prepared rows, as `train_trl.py` builds it."""
    before = Path.cwd()
    os.chdir(tmp_path)

    def call(algorithm: str) -> Any:
        variant: Variant = next(each for each in matrix("trl") if each.spec.algorithm == algorithm)
        Path("trl_config.yaml").write_text(variant.render("smoke_config.yaml"), "utf-8")
        words = ["--input", str(SAMPLE), "--output", "training_data.jsonl"]
        subprocess.run([sys.executable, str(PREPARE), *words], check=True, capture_output=True)
        words = ["--config", "trl_config.yaml", "--model_name_or_path", str(model)]
        run, training, chosen = parse([*words, "--report_to", "none"])
        named = algorithm_of(algorithm)
        tokenizer = load_tokenizer(run, training, chosen, named)
        return train_trl.build(run, training, chosen, named, tokenizer)

    yield call
    os.chdir(before)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_prepared_rows_become_a_batch(trainer: Any, algorithm: Algorithm) -> None:
    built = trainer(algorithm)
    assert len(built.train_dataset) > 0
    batch = next(iter(built.get_train_dataloader()))
    rows = batch if isinstance(batch, dict) else batch[0]
    assert set(rows) >= IN_A_BATCH[ALGORITHMS[algorithm]], set(rows)
    if algorithm == "sft":
        trained = rows["labels"] != -100
        assert trained.any() and not trained.all(), "the loss is on a part of the tokens"
