"""What verl says of a project's files: its Hydra tree, its dataclasses, its validation."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.mutations import is_id
from contracts.rendering import Variant
from contracts.scripts import Launches
from verl_checks import check_config
from verl_settings import Settings, read

SECTIONS = (
    "actor_rollout_ref.actor",
    "actor_rollout_ref.model",
    "actor_rollout_ref.rollout",
    "algorithm",
    "engine",
    "optim",
    "model",
    "checkpoint",
)
"""What verl turns into dataclasses when it starts, of both trainers."""


class Judge:
    """verl over the files of one project."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.launches: Launches | None = None

    def __call__(self, variant: Variant, project: Path, name: str) -> str | None:
        assert variant.plan is not None
        if name.endswith(".sh"):
            self.launches = self.launches or Launches(self.folder, variant.spec.gpus_per_node)
            alone = variant.spec.nodes == 1
            return self.launches.judge(project / name, alone)
        try:
            with silent(), standing_in(project):
                settings = read(Path(name), Path("training_data.jsonl"))
                self.settle(settings)
                check_config(settings)
                dataclasses_of(settings)
                code_of(settings)
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
        return None

    def settle(self, settings: Settings) -> None:
        """The model that was planned is not here: a tiny one stands in for it."""
        model = settings.model
        if is_id(model.path):
            model.path = str(self.model)
        if settings.online and is_id(settings.config.critic.model.path):
            settings.config.critic.model.path = str(self.model)


def dataclasses_of(settings: Settings) -> None:
    from omegaconf import OmegaConf
    from verl.utils.config import omega_conf_to_dataclass

    for name in SECTIONS:
        section = OmegaConf.select(settings.config, name)
        if section is not None and "_target_" in section:
            omega_conf_to_dataclass(section)


def code_of(settings: Settings) -> None:
    """The classes and functions that verl loads by path and name."""
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.utils.import_utils import load_extern_object

    data = settings.config.data.custom_cls
    if data.path:
        load_extern_object(data.path, data.name)
    if settings.online:
        get_custom_reward_fn(settings.config)
        from rl_rollouts.rewards.checked import load_score

        given: Any = settings.config.reward.custom_reward_function.get("reward_kwargs") or {}
        load_score(str(given.get("rewards", "rewards:score")))


@contextlib.contextmanager
def silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def standing_in(project: Path) -> Iterator[None]:
    import verl_settings

    sys.path.insert(0, str(project))
    before, verl_settings.PROJECT = verl_settings.PROJECT, project
    try:
        with contextlib.chdir(project):
            yield
    finally:
        verl_settings.PROJECT = before
        sys.path.remove(str(project))
