"""The values of a config of verl: as written, else as verl's own tree has them."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scaffolder.machine import model_config
from scaffolder.project import Config, Finding, Project, Weight
from scaffolder.schema import Schema, load

TREES = ("ppo_trainer", "sft_trainer_engine")
REFERENCE = re.compile(r"\$\{(?:oc\.select:)?([\w.]+)(?:,\s*([^{}]*))?\}")
"""A default that is the value of another key: `${oc.select:trainer.nnodes,1}`."""


def tree_of(config: Config, algorithm: str) -> str:
    """The name under which the schema has the keys: the root that `defaults` names, and the engine.

    `ppo_trainer`, `ppo_trainer-megatron`, `sft_trainer_engine` or `sft_trainer_engine-megatron`.
    """
    listed = config.get("defaults")
    listed = listed if isinstance(listed, list) else []
    named = [each for each in listed if each in TREES]
    root = named[0] if named else TREES[algorithm == "sft"]
    overrides = [value for each in listed if isinstance(each, dict) for value in each.values()]
    return f"{root}-megatron" if "megatron" in overrides else root


PLANNED = {
    "data.train_batch_size": "prompts_per_step",
    "actor_rollout_ref.actor.ppo_mini_batch_size": "prompts_per_update",
    "actor_rollout_ref.rollout.n": "responses",
}
"""Keys and where the plan has their numbers (`Plan.settings`)."""


@dataclass(frozen=True)
class Values:
    """One config with the defaults of its tree."""

    project: Project
    config: Config

    @cached_property
    def tree(self) -> str:
        return tree_of(self.config, self.project.spec.algorithm)

    @property
    def online(self) -> bool:
        return self.tree.startswith("ppo")

    @property
    def megatron(self) -> bool:
        return self.tree.endswith("-megatron")

    @cached_property
    def _schema(self) -> Schema | None:
        return load(Path(__file__).parent, self.project.plan.framework_version)

    def get(self, name: str) -> Any:
        """The value of a key; None where there is none."""
        if self.config.entry(name) is not None:
            return self.config.get(name)
        key = self._schema.key(self.tree, name) if self._schema else None
        return self._resolved(key.default) if key else None

    def _resolved(self, default: Any) -> Any:
        found = REFERENCE.fullmatch(default) if isinstance(default, str) else None
        if found is None:
            return default
        value = self.get(found[1])
        if value is None and found[2] is not None:
            return _parsed(found[2])
        return value

    def number(self, name: str) -> int | None:
        """None for what is no whole number above 0, of which the checks of keys speak."""
        value = self.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and value > 0 else None

    def numbers(self, *names: str) -> tuple[int, ...] | None:
        """Several; None unless all are numbers."""
        found = [self.number(name) for name in names]
        return tuple(each for each in found if each is not None) if None not in found else None

    def changed(self, *names: str) -> str:
        """Of keys that do not go together the one that is not as planned; see `Config.changed`."""
        settings = self.project.plan.settings
        planned = {name: settings.get(PLANNED.get(name, "")) for name in names}
        if self.config.is_smoke or None in planned.values():
            return names[0]
        return self.config.changed(planned, {name: self.get(name) for name in names})

    @property
    def gpus(self) -> int:
        """Of all machines."""
        found = self.numbers("trainer.nnodes", "trainer.n_gpus_per_node")
        return found[0] * found[1] if found else self.project.plan.world_size

    def finding(self, weight: Weight, name: str, problem: str, remedy: str) -> Finding:
        return self.config.finding(weight, name, problem, remedy)

    def model(self) -> dict[str, Any]:
        """The config.json of the model, where it is a folder on this machine; else empty."""
        name = self.get("actor_rollout_ref.model.path" if self.online else "model.path")
        return model_config(name, self.project.path)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
