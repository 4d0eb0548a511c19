"""What OpenRLHF refuses of a project, `rl-scaffolder check` finds first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.openrlhf.judging import Judge
from contracts.rendering import variant
from contracts.torture import GOAL, Tally, Torture, tortured
from scaffolder.frameworks import discover

PROJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sft", {"tuning": "lora"}),
    ("dpo", {"nodes": 2}),
    ("grpo", {}),
    ("ppo", {"generation": "vllm_server"}),
    ("dapo", {"generation": "vllm_async", "nodes": 2}),
)
BROKEN, SAME = 30, 8


def judged(algorithm: str, answers: dict[str, Any], folder: Path) -> Tally:
    tally, schema = Tally(), discover()["openrlhf"].schema()
    assert schema is not None
    (folder / "p").mkdir(parents=True)
    made = variant("openrlhf", algorithm, tracker="none", gpus_per_node=8, **answers)
    Torture(made, folder / "p", schema).run(Judge(folder), tally, BROKEN, SAME)
    return tally


def test_check_finds_what_openrlhf_refuses(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = tortured(judged, [(name, answers, tmp_path / name) for name, answers in PROJECTS])
    record_property("said", tally.words())
    assert tally.share >= GOAL and not tally.false, tally.words()
