"""The contract that every framework's adapter fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from scaffolder.history import Source
from scaffolder.project import Check, Config
from scaffolder.vocabulary import (
    OFFLINE,
    WISHES,
    Algorithm,
    DatasetKind,
    Generation,
    Pattern,
    Sharding,
    Topology,
    Tuning,
)

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec

Role = Literal["algorithm", "model", "output", "tracker"]
"""What a key of a config holds: the algorithm's name, the model, the run's folder, the tracker."""

Grade = Literal[0, 1, 2]
"""How far a wish is granted: not, in part, in full."""


@dataclass(frozen=True)
class Fact:
    """One thing that is true of a framework, for choosing between them."""

    criterion: str
    """What is compared, the same words for every framework; with a grade the `Wish`."""
    value: str
    """What is so, in a line; with a grade the reason for it."""
    source: str
    """Where it was read or run."""
    date: str
    """When, ISO 8601: facts age."""
    grade: Grade | None = None
    """`Wish` says what each takes. Without one a fact is only shown."""

    def __post_init__(self) -> None:
        if self.grade is not None and self.criterion not in WISHES:
            raise ValueError(f"no such wish: {self.criterion}; known: {', '.join(WISHES)}")


class Framework(ABC):
    """What the tool knows about one framework at one version."""

    name: ClassVar[str]
    """As typed: `--framework trl`. Also the name of its overlay folder."""
    title: ClassVar[str]
    homepage: ClassVar[str]
    version: ClassVar[str]
    """The exact version that everything rendered is for."""
    requirements: ClassVar[Sequence[str]]
    """What pip installs to train, pinned exactly."""
    container: ClassVar[str | None] = None
    """Image that holds the framework, when it is not installed with pip."""
    algorithms: ClassVar[Mapping[Algorithm, DatasetKind]]
    """What it can do here, and the data that each needs."""
    topologies: ClassVar[Sequence[Topology]]
    patterns: ClassVar[Sequence[Pattern]]
    tunings: ClassVar[Sequence[Tuning]] = ("full",)
    shardings: ClassVar[Sequence[Sharding]] = ("fsdp2",)
    """In order of preference."""
    generations: ClassVar[Sequence[Generation]] = ()
    """For online algorithms, in order of preference."""
    smoke_gpus: ClassVar[int] = 0
    """GPUs that `make smoke` needs; 0 where its trainer runs on a CPU."""
    unavailable: ClassVar[Mapping[str, str]] = {}
    """Why an algorithm, topology or pattern is not offered, where there is more to say."""
    facts: ClassVar[Sequence[Fact]] = ()
    config_keys: ClassVar[Mapping[Role, str]] = {}
    """Keys of its config by what they hold, for the checks that are the same for all."""
    checks: ClassVar[Sequence[Check]] = ()
    """What only this framework can find wrong with a rendered project."""
    overlay: Path | None = None
    """Folder of templates that a third-party package brings; ours are found by name."""
    overlay_version: str = ""
    """Version of that folder, PEP 440. Discovery takes the package's own when absent."""
    overlay_history: Path | None = None
    """Bundle with the released versions of that folder, which `update` starts from; see
    `scaffolder/history.py`."""
    schemas: Path | None = None
    """Folder of config schemas, `<name>-<version>.json`, that a third-party package brings."""

    def config_key(self, role: Role, algorithm: Algorithm) -> str | None:  # noqa: ARG002 (for adapters)
        """The key of a config that holds something; nested ones with dots between."""
        return self.config_keys.get(role)

    def schema_name(self, config: Config, algorithm: Algorithm) -> str:
        """The name under which the schema has the keys of a config: its algorithm.

        Args:
            algorithm: that of the answers, where the config does not say.
        """
        key = self.config_keys.get("algorithm")
        return str(config.get(key, algorithm)) if key else algorithm

    @property
    def overlay_source(self) -> Source | None:
        """The templates that a third-party package brings."""
        if self.overlay is None:
            return None
        return Source(self.overlay, self.overlay_version, self.overlay_history)

    @abstractmethod
    def plan(self, spec: "ProjectSpec") -> "Plan":
        """Turn choices into numbers, in the framework's own terms.

        Raises:
            InfeasiblePlan: with every reason.
        """

    def unsupported(self, spec: "ProjectSpec") -> list[str]:
        """All reasons why this framework cannot do what the spec asks; empty when it can."""
        generations = () if spec.algorithm in OFFLINE else self.generations
        return [
            self._not_offered(word, value, offered)
            for word, value, offered in (
                ("algorithm", spec.algorithm, tuple(self.algorithms)),
                ("topology", spec.topology, self.topologies),
                ("pattern", spec.pattern, self.patterns),
                ("tuning", spec.tuning, self.tunings),
                ("sharding", spec.sharding, self.shardings),
                ("generation", spec.generation, generations),
            )
            if value is not None and value not in offered
        ]

    def _not_offered(self, word: str, value: str, offered: Sequence[str]) -> str:
        why = self.unavailable.get(value)
        choices = ", ".join(offered) or "none"
        reason = f"{self.title} {self.version} with {word} {value}: "
        return reason + (
            f"{why} ({word} can be: {choices})" if why else f"{word} can be: {choices}"
        )
