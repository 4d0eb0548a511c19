"""The values of a config of OpenRLHF: as written, else as its parser has them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scaffolder.machine import model_config
from scaffolder.project import Config, Finding, Project, Weight
from scaffolder.schema import Schema, load
from scaffolder.vocabulary import OFFLINE


@dataclass(frozen=True)
class Values:
    """One config with the defaults of its command."""

    project: Project
    config: Config

    @property
    def algorithm(self) -> str:
        return str(self.config.get("algorithm", self.project.spec.algorithm))

    @property
    def online(self) -> bool:
        return self.algorithm not in OFFLINE

    @cached_property
    def _schema(self) -> Schema | None:
        return load(Path(__file__).parent, self.project.plan.framework_version)

    def get(self, name: str) -> Any:
        """The value of a key; null is as if it were not there."""
        said = self.config.get(name)
        if said is not None:
            return said
        key = self._schema.key(self.algorithm, name) if self._schema else None
        return key.default if key else None

    def number(self, name: str) -> float | None:
        """None for what the parser makes no number of, of which the checks of keys speak."""
        key = self._schema.key(self.algorithm, name) if self._schema else None
        return key.number(self.get(name)) if key else None

    def count(self, name: str) -> int | None:
        """A whole number above 0."""
        found = self.number(name)
        return found if isinstance(found, int) and found > 0 else None

    def counts(self, *names: str) -> tuple[int, ...] | None:
        """Several; None unless all are such."""
        found = [self.count(name) for name in names]
        return tuple(each for each in found if each is not None) if None not in found else None

    def truth(self, name: str) -> bool:
        return self.get(name) is True

    def text(self, name: str) -> str:
        """Empty where there is none."""
        found = self.get(name)
        return found if isinstance(found, str) else ""

    @property
    def gpus(self) -> int | None:
        """That train, of all machines: online those of the actor."""
        names = ("actor.num_nodes", "actor.num_gpus_per_node")
        offline = ("launch.nodes", "launch.gpus_per_node")
        found = self.counts(*(names if self.online else offline))
        return found[0] * found[1] if found else None

    @property
    def shared(self) -> int:
        """GPUs that share each row."""
        found = self.counts("ds.ring_attn_size", "ds.tensor_parallel_size")
        return found[0] * found[1] if found else 1

    @property
    def scored(self) -> bool:
        """Whether rewards come from a function, a server or an environment, and no model."""
        return not self.text("reward.model_name_or_path") or bool(self.text("reward.remote_url"))

    def finding(self, weight: Weight, key: str, problem: str, remedy: str) -> Finding:
        return self.config.finding(weight, key, problem, remedy)

    def error(self, key: str, problem: str, remedy: str) -> Finding:
        return self.finding("error", key, problem, remedy)

    def model(self) -> dict[str, Any]:
        """The config.json of the model, where it is a folder on this machine; else empty."""
        at = "actor" if self.online else "model"
        return model_config(self.get(f"{at}.model_name_or_path"), self.project.path)
