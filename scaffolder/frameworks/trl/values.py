"""The values of a config of TRL: as written, else TRL's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scaffolder.project import Config, Finding, Project
from scaffolder.schema import Key, load
from scaffolder.vocabulary import OFFLINE

HERE = Path(__file__).parent
NEVER = {None, "no", False}
"""How `eval_strategy` says that nothing is evaluated."""
TRUE = {"yes", "true", "t", "y", "1"}


@dataclass(frozen=True)
class Values:
    """One config over so many training processes, with TRL's defaults."""

    project: Project
    config: Config
    world: int

    @property
    def algorithm(self) -> str:
        return str(self.config.get("algorithm", self.project.spec.algorithm))

    @property
    def online(self) -> bool:
        return self.algorithm not in OFFLINE

    @cached_property
    def _keys(self) -> Mapping[str, Key]:
        schema = load(HERE, self.project.plan.framework_version)
        return schema.keys(self.algorithm) if schema else {}

    def get(self, name: str) -> Any:
        key = self._keys.get(name)
        return self.config.get(name, key.default if key else None)

    def number(self, name: str) -> int | float | None:
        """None for what TRL makes no number of, of which the checks of keys speak."""
        key = self._keys.get(name)
        return key.number(self.get(name)) if key else None

    def count(self, name: str) -> int | None:
        """A whole number above 0."""
        value = self.number(name)
        return value if isinstance(value, int) and value > 0 else None

    def truth(self, name: str) -> bool:
        value = self.get(name)
        return value.lower() in TRUE if isinstance(value, str) else value is True

    @property
    def evaluates(self) -> bool:
        strategy = self.get("eval_strategy")
        return not isinstance(strategy, list | dict) and strategy not in NEVER

    def changed(self, planned: Mapping[str, Any]) -> str:
        """Of some keys the first that is not as planned; see `Config.changed`."""
        return self.config.changed(planned, {name: self.get(name) for name in planned})

    def error(self, key: str, problem: str, remedy: str) -> Finding:
        return self.config.finding("error", key, problem, remedy)
