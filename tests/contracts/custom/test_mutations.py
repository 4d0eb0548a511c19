"""What the settings of the trainer in the template refuse, `rl-scaffolder check` finds first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.custom.judging import Judge
from contracts.rendering import variant
from contracts.torture import GOAL, Tally, Torture, tortured
from scaffolder.frameworks import discover

PROJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sft", {}),
    ("dpo", {"nodes": 2}),
    ("grpo", {"generation": "vllm_server"}),
)
BROKEN, SAME = 120, 30


def judged(algorithm: str, answers: dict[str, Any], folder: Path) -> Tally:
    tally, schema = Tally(), discover()["custom"].schema()
    assert schema is not None
    (folder / "p").mkdir(parents=True)
    made = variant("custom", algorithm, tracker="none", gpus_per_node=8, **answers)
    Torture(made, folder / "p", schema).run(Judge(folder), tally, BROKEN, SAME)
    return tally


def test_check_finds_what_the_settings_refuse(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = tortured(judged, [(name, answers, tmp_path / name) for name, answers in PROJECTS])
    record_property("said", tally.words())
    assert tally.share >= GOAL and not tally.false, tally.words()
