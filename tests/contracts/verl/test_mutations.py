"""What verl refuses of a project, `rl-scaffolder check` finds first."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import verl_settings
from contracts.rendering import variant
from contracts.torture import GOAL, Tally, Torture, tortured
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


def judged(algorithm: str, answers: dict[str, Any], folder: Path, model: Path) -> Tally:
    verl_settings._composed = composed
    logging.disable(logging.WARNING)
    tally, schema = Tally(), discover()["verl"].schema()
    assert schema is not None
    (folder / "p").mkdir(parents=True)
    made = variant("verl", algorithm, tracker="none", gpus_per_node=8, **answers)
    Torture(made, folder / "p", schema).run(Judge(model, folder), tally, BROKEN, SAME)
    return tally


def test_check_finds_what_verl_refuses(
    tmp_path: Path, model: Path, record_property: Callable[[str, object], None]
) -> None:
    cases = [(name, answers, tmp_path / name, model) for name, answers in PROJECTS]
    tally = tortured(judged, cases)
    record_property("said", tally.words())
    assert tally.share >= GOAL and not tally.false, tally.words()
