"""TRL's own parser and config classes accept every config of the matrix; a changed one they refuse.

The rules of divisibility that GRPOConfig and RLOOConfig assert are those of the planned machines.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from contracts.rendering import SIZES, Variant, matrix
from contracts.trl.parsing import accepted
from rl_rollouts.errors import UserError
from scaffolder.frameworks import discover
from scaffolder.vocabulary import OFFLINE
from trl_settings import parse

ADAPTER = discover()["trl"]
MATRIX = list(matrix("trl"))
CASES = list(itertools.product(ADAPTER.algorithms, SIZES))
ONLINE = [algorithm for algorithm in ADAPTER.algorithms if algorithm not in OFFLINE]


def chosen(algorithm: str, size: Any) -> list[Variant]:
    return [
        each
        for each in MATRIX
        if each.spec.algorithm == algorithm
        and each.spec.gpus_per_node == size["gpus_per_node"]
        and each.spec.nodes == size.get("nodes", 1)
    ]


def different(variants: Iterable[Variant]) -> dict[tuple[str, int], Variant]:
    """One variant of each text and number of processes: sharding is not said in the config."""
    return {
        (each.config(), each.plan.world_size): each for each in variants if each.plan is not None
    }


@pytest.mark.parametrize(("algorithm", "size"), CASES, ids=str)
def test_every_rendered_config_is_accepted(
    algorithm: str, size: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = different(chosen(algorithm, size))
    assert len(texts) >= len(ADAPTER.tunings)
    for (text, world), variant in texts.items():
        run, training, model = accepted(tmp_path, text, world, monkeypatch)
        assert variant.plan is not None
        assert run.algorithm == algorithm
        assert model.use_peft == (variant.spec.tuning != "full"), variant
        assert model.load_in_4bit == (variant.spec.tuning == "qlora"), variant
        together = (
            training.per_device_train_batch_size * training.gradient_accumulation_steps * world
        )
        assert together == variant.plan.global_batch_size, variant
        if variant.spec.generation is not None:
            assert training.generation_batch_size % training.num_generations == 0, variant
            assert training.use_vllm == variant.spec.generation.startswith("vllm"), variant
            server = training.use_vllm and training.vllm_mode == "server"
            assert server == (variant.plan.server is not None), variant
            if variant.spec.generation == "vllm_colocate":
                assert world % training.vllm_tensor_parallel_size == 0, variant


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_the_smoke_run_is_accepted(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variant in chosen(algorithm, SIZES[0]):
        if variant.plan is not None:
            accepted(tmp_path, variant.render("smoke_config.yaml"), 1, monkeypatch)


@pytest.mark.parametrize("algorithm", ADAPTER.algorithms)
def test_a_changed_key_is_refused(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TRL's parser when it is asked to, and by the project's own script always."""
    variant = next(each for each in chosen(algorithm, SIZES[0]) if each.plan is not None)
    text = variant.config().replace("learning_rate:", "learning_rat:")
    with pytest.raises(ValueError, match="learning_rat"):
        accepted(tmp_path, text, 1, monkeypatch)
    with pytest.raises(UserError, match="unknown key learning_rat; did you mean learning_rate"):
        parse(["--config", str(tmp_path / "config.yaml"), "--check_only", "True"])


@pytest.mark.parametrize("algorithm", ONLINE)
def test_the_rules_of_divisibility_are_really_asked(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = next(each for each in chosen(algorithm, SIZES[1]) if each.plan is not None)
    assert variant.plan is not None
    text = variant.config().replace("num_generations: 8", "num_generations: 7")
    with pytest.raises(ValueError, match="must be divisible by num_generations"):
        accepted(tmp_path, text, variant.plan.world_size, monkeypatch)


def test_what_is_refused_names_a_reason() -> None:
    refused = [each for each in MATRIX if each.plan is None]
    assert refused and all(each.reasons for each in refused)
    reasons = {reason for each in refused for reason in each.reasons}
    assert all(ADAPTER.title in reason or "GPU" in reason for reason in reasons)
