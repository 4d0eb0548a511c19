"""What the settings of the trainer in the template say of a project's files."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.rendering import Variant
from contracts.scripts import Launches
from custom_settings import problems_of, read_settings
from rl_rollouts.errors import UserError
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.trainers import load_trainer

OWN = "custom_loop:TorchTrainer"
"""The trainer that is there without doubt, and needs torch to be imported."""


class Judge:
    """The trainer's settings over the files of one project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launches: Launches | None = None

    def __call__(self, variant: Variant, project: Path, name: str) -> str | None:
        assert variant.plan is not None
        if name.endswith(".sh"):
            self.launches = self.launches or Launches(self.folder, variant.spec.gpus_per_node)
            alone = variant.plan.server is None and variant.spec.nodes == 1
            return self.launches.judge(project / name, alone)
        world = 1 if name == "smoke_config.yaml" else variant.plan.world_size
        try:
            with standing_in(project), pytest.MonkeyPatch.context() as patch:
                patch.setenv("WORLD_SIZE", str(world))
                settings = read_settings(Path(name), [])
                wrong = list(problems_of(settings, Path("training_data.jsonl")))
                if settings.trainer != OWN:
                    load_trainer(settings.trainer)
                if settings.online:
                    load_score(settings.rewards)
        except UserError as error:
            return str(error)
        return "; ".join(wrong) or None


@contextlib.contextmanager
def standing_in(project: Path) -> Iterator[None]:
    """As a script of the project: there, and with its modules."""
    sys.path.insert(0, str(project))
    load_score.cache_clear()
    importlib.invalidate_caches()
    try:
        with contextlib.chdir(project):
            yield
    finally:
        sys.path.remove(str(project))
