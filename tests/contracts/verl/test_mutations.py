"""What verl refuses of a project, `rl-scaffolder check` finds first."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import verl_settings
from contracts.rendering import variant
from contracts.torture import GOAL, Tally, Torture
from contracts.verl.composing import composed
from contracts.verl.judging import Judge
from scaffolder.frameworks import discover

PROJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sft", {}),
    ("grpo", {}),
    ("ppo", {"sharding": "megatron"}),
    ("dapo", {"tuning": "lora", "nodes": 2}),
)
BROKEN, SAME = 76, 12


def test_check_finds_what_verl_refuses(
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(verl_settings, "_composed", composed)
    logging.disable(logging.WARNING)
    tally, schema = Tally(), discover()["verl"].schema()
    assert schema is not None
    for algorithm, answers in PROJECTS:
        folder = tmp_path / algorithm
        (folder / "p").mkdir(parents=True)
        made = variant("verl", algorithm, tracker="none", gpus_per_node=8, **answers)
        Torture(made, folder / "p", schema).run(Judge(model, folder), tally, BROKEN, SAME)
    logging.disable(logging.NOTSET)
    record_property("said", tally.words())
    assert tally.share >= GOAL and not tally.false, tally.words()
