"""The contract that every framework's adapter fulfils."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from scaffolder.history import Source
from scaffolder.meaning import Meanings, Meant
from scaffolder.project import Check, Config
from scaffolder.schema import Schema, load
from scaffolder.vocabulary import (
    OFFLINE,
    WISHES,
    Algorithm,
    Generation,
    Pattern,
    RowsWithTools,
    Sharding,
    Topology,
    Tuning,
)

if TYPE_CHECKING:
    from scaffolder.memory import TrainingCost
    from scaffolder.plan import ConfigKeys, Details, Plan
    from scaffolder.spec import ProjectSpec
    from scaffolder.trainer import Trainer

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
    """As typed after `--framework`. Also the name of its overlay folder."""
    title: ClassVar[str]
    homepage: ClassVar[str]
    version: ClassVar[str]
    """The exact version that everything rendered is for."""
    requirements: ClassVar[Sequence[str]]
    """What pip installs to train, pinned exactly."""
    algorithms: ClassVar[Sequence[Algorithm]]
    """What it can do here, the usual one first."""
    topologies: ClassVar[Sequence[Topology]]
    patterns: ClassVar[Sequence[Pattern]]
    tunings: ClassVar[Sequence[Tuning]] = ("full",)
    shardings: ClassVar[Sequence[Sharding]] = ("fsdp2",)
    """In order of preference."""
    generations: ClassVar[Sequence[Generation]] = ()
    """For online algorithms, in order of preference."""
    rows_with_tools: ClassVar[Sequence[RowsWithTools]] = ("refuse", "drop")
    """What its online algorithms can do with rows that speak of tools."""
    smoke_gpus: ClassVar[int] = 0
    """GPUs that `make smoke` needs; 0 where its trainer runs on a CPU."""
    usual: ClassVar[bool] = False
    """Whether it is what people begin with who have no reason for another."""
    unavailable: ClassVar[Mapping[str, str]] = {}
    """Why an algorithm, topology, pattern or one of `plan.Details` is not offered, where there is
    more to say; who else offers it is found by discovery."""
    resume: ClassVar[str] = "--resume"
    """Words after its training script that go on with a run."""
    override: ClassVar[str] = "--check_only"
    """Words after it that change something, as an example."""
    checkpoint: ClassVar[str] = "checkpoint-*"
    """Pattern of the folders that a run leaves in its own before it has ended."""
    facts: ClassVar[Sequence[Fact]] = ()
    checks: ClassVar[Sequence[Check]] = ()
    """What only this framework can find wrong with a rendered project."""
    overlay: Path | None = None
    """Folder of templates that a third-party package brings; ours are found by name."""
    overlay_version: str = ""
    """Version of that folder, PEP 440. Discovery takes the package's own when absent."""
    overlay_history: Path | None = None
    """Bundle with the released versions of that folder, which `update` starts from; see
    `scaffolder/history.py`."""

    @property
    def folder(self) -> Path:
        """Where its adapter lies, with `schema.json` beside it."""
        return Path(inspect.getfile(type(self))).parent

    def schema(self, version: str | None = None) -> Schema | None:
        """The config keys of a version, by default its own; None where they are not known."""
        return load(self.folder, version or self.version)

    def keys(self, algorithm: Algorithm) -> "ConfigKeys":  # noqa: ARG002 (for adapters)
        """Where its config says what checks and the README want to know; by default nowhere."""
        from scaffolder.plan import ConfigKeys

        return ConfigKeys()

    def meanings(self, spec: "ProjectSpec", plan: "Plan") -> Meanings:  # noqa: ARG002 (for adapters)
        """Keys of its config by what they mean; by default those that `keys` names."""
        keys = self.keys(spec.algorithm)
        named = {"learning_rate": keys.learning_rate, "epochs": keys.epochs, "model": keys.model}
        found = {name: Meant((key,)) for name, key in named.items() if key}
        return found | ({"sequence_length": Meant(keys.lengths, sum)} if keys.lengths else {})

    def schema_name(self, config: Config, algorithm: Algorithm) -> str:
        """The name under which the schema has the keys of a config: its algorithm.

        Args:
            algorithm: that of the answers, where the config does not say.
        """
        key = self.keys(algorithm).algorithm
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

    def trainer(
        self,
        algorithm: Algorithm,
        cost: "TrainingCost",
        learning_rate: float,
        details: "Details | None" = None,
    ) -> "Trainer":
        """What the arithmetic is told, as far as it stands above.

        Args:
            learning_rate: the usual one.
            details: what else its config has under a common name, with what is usual.
        """
        from scaffolder.plan import TrainingRun
        from scaffolder.trainer import Trainer

        training = TrainingRun(
            config_keys=self.keys(algorithm),
            learning_rate=learning_rate,
            resume=self.resume,
            override=self.override,
            checkpoint=self.checkpoint,
            **(details.model_dump() if details else {}),
        )
        return Trainer(
            cost=cost,
            training=training,
            framework_version=self.version,
            requirements=self.requirements,
            shardings=self.shardings,
            generations=self.generations,
            unavailable=self.unavailable,
        )

    def offered(self, algorithm: str) -> Mapping[str, Sequence[str]]:
        """What each choice can be beside an algorithm."""
        return {
            "algorithm": self.algorithms,
            "topology": self.topologies,
            "pattern": self.patterns,
            "tuning": self.tunings,
            "sharding": self.shardings,
            "generation": () if algorithm in OFFLINE else self.generations,
            "rows_with_tools": () if algorithm in OFFLINE else self.rows_with_tools,
        }

    def unsupported(self, spec: "ProjectSpec") -> list[str]:
        """All reasons why this framework cannot do what the spec asks; empty when it can."""
        return [
            self._not_offered(word, value, offered)
            for word, offered in self.offered(spec.algorithm).items()
            if (value := getattr(spec, word)) is not None and value not in offered
        ]

    def _not_offered(self, word: str, value: str, offered: Sequence[str]) -> str:
        why = self.unavailable.get(value)
        choices = ", ".join(offered) or "none"
        reason = f"{self.title} {self.version} with {word} {value}: "
        return reason + (
            f"{why} ({word} can be: {choices})" if why else f"{word} can be: {choices}"
        )
