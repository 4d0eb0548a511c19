"""What an adapter tells the arithmetic about its trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaffolder.memory import TrainingCost
from scaffolder.plan import TrainingRun
from scaffolder.vocabulary import SCHEDULERS, Generation, Scheduler, Sharding


@dataclass(frozen=True)
class Trainer:
    """What a framework's trainer needs, for one algorithm and one way of tuning."""

    cost: TrainingCost
    training: TrainingRun
    """With what is usual; what was chosen replaces it."""
    framework_version: str
    requirements: Sequence[str]
    shardings: Sequence[Sharding] = ("fsdp2",)
    """Offered, the first whenever it fits; the others in order of preference."""
    generations: Sequence[Generation] = ()
    """Offered to online algorithms, the first when nothing was chosen."""
    engine_share: float = 0.3
    """Share of a GPU that a generation engine on it may use."""
    engine_sleeps: bool = False
    """Whether that engine gives its memory back while the trainer works."""
    states_rest: bool = False
    """Whether weights and states can leave the GPU while the engine works."""
    responses: int | None = None
    """To one prompt, where the algorithm decides that and not the user."""
    copied_to_generate: bool = False
    """Whether each of several processes holds the whole model once more where no engine is."""
    generated_at_once: int | None = None
    """Responses that a process writes at once where no engine is; None: all of its step."""
    smallest_micro_batch: int = 1
    schedulers: Sequence[Scheduler] = SCHEDULERS
    """Offered, where there is one."""
    whole_epochs: bool = False
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Why it has no such thing as one of the `Details`, where there is more to say."""

    def engine_takes(self, gpu_memory: float) -> tuple[float, float]:
        """GiB that an engine on a GPU of the trainer keeps, and that it takes only while it works,
        beside states."""
        share = self.engine_share * gpu_memory
        if self.engine_sleeps:
            return 0.0, 0.0 if self.states_rest else share
        return share, 0.0
