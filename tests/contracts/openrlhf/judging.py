"""What OpenRLHF says of a project's files: its parsers, their assertions, and what comes after."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.mutations import is_id
from contracts.rendering import Variant
from contracts.scripts import Launches
from rl_rollouts.frameworks.openrlhf.rules import asked, check_config, gpus_of
from rl_rollouts.frameworks.openrlhf.settings import Settings, read
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.rewards.environments import load_environment


class Judge:
    """OpenRLHF over the files of one project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launches: Launches | None = None

    def __call__(self, variant: Variant, project: Path, name: str) -> str | None:
        assert variant.plan is not None
        if name.endswith(".sh"):
            self.launches = self.launches or Launches(self.folder, variant.spec.gpus_per_node)
            return self.launches.judge(project / name, variant.spec.nodes == 1)
        spec, smoke = variant.spec, name == "smoke_config.yaml"
        there = 1 if smoke else spec.nodes * spec.gpus_per_node
        try:
            with standing_in(project):
                settings = read(Path(name), project)
                check_config(settings)
                given_on(settings)
                model_of(settings, project)
                wanted = asked(settings) if settings.online else gpus_of(settings)
                if wanted > there:
                    return f"it waits for {wanted} GPUs, and there are {there}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
        return None


def given_on(settings: Settings) -> None:
    """What torch and transformers say of values that they are given, and DeepSpeed of its stage."""
    import torch
    from transformers.optimization import get_scheduler

    given = settings.arguments
    if given.ds.zero_stage not in range(4):  # its ZeroStageEnum
        raise ValueError(f"{given.ds.zero_stage} is no stage of ZeRO")
    for section in (given.actor, given.critic) if settings.online else (given,):
        adam, weights = section.adam, [torch.nn.Parameter(torch.zeros(1))]
        options = {"betas": tuple(adam.betas), "eps": adam.eps, "weight_decay": adam.weight_decay}
        optimizer = torch.optim.AdamW(weights, lr=adam.lr, **options)
        minimum = {"min_lr_rate": section.min_lr_ratio}
        more = minimum if section.lr_scheduler.endswith("with_min_lr") else {}
        warmup = int(100 * section.lr_warmup_ratio)
        get_scheduler(section.lr_scheduler, optimizer, warmup, 100, scheduler_specific_kwargs=more)
    if settings.online:
        load_score(str(settings.own["rewards"]))
        if settings.own["environment"]:
            load_environment(str(settings.own["environment"]))
        if given.data.max_len < 1 or (given.vllm.num_engines or 0) < 1:
            raise ValueError("nothing generates")


def model_of(settings: Settings, project: Path) -> None:
    """A model that is a folder, or an id of the Hub, which is not asked."""
    if not is_id(settings.model) and not (project / settings.model).is_dir():
        raise ValueError(f"{settings.model} is no model")


@contextlib.contextmanager
def standing_in(project: Path) -> Iterator[None]:
    """As a script of the project: there, and with its modules."""
    before: Any = list(sys.path)
    sys.path.insert(0, str(project))
    load_score.cache_clear()
    silent = contextlib.redirect_stdout(io.StringIO())
    try:
        with contextlib.chdir(project), silent:
            yield
    finally:
        sys.path[:] = before
