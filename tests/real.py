"""Real rollout files, where there are some.

Own ones always: the sample that projects are rendered with, and the examples. NeMo Gym's from
`../shared/rollouts` where that folder exists, and more from the folders that the environment
variable ROLLOUTS names.
"""

import os
from pathlib import Path

from conftest import ROOT, SAMPLE

OWN = [SAMPLE, *sorted((ROOT / "examples" / "rollouts").glob("*.jsonl"))]
FOLDERS = [ROOT.parent / "shared" / "rollouts", *map(Path, os.environ.get("ROLLOUTS", "").split())]
SIDECARS = ("materialized_inputs", "reward_profiling")
FILES = [
    *OWN,
    *(
        file
        for folder in FOLDERS
        for file in sorted(folder.glob("*.jsonl"))
        if not file.stem.endswith(SIDECARS)
    ),
]


def lines() -> list[bytes]:
    """Every line of every file."""
    return [line for file in FILES for line in file.read_bytes().splitlines() if line.strip()]


def candidates(most: int = 20_000) -> list[bytes]:
    """Lines to damage: one of each file that is not too long."""
    found = []
    for file in FILES:
        short = [line for line in file.read_bytes().splitlines() if 2 < len(line) < most]
        found += short[:1]
    return found
