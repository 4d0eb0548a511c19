"""Tasks, and how their rollouts did."""

import msgspec

from ..data.same import hash_of
from .bounded import Sampled
from .spread import spread_of
from .summary import Bar, Tasks

MOST_TASKS = 200_000
"""Tasks and prompts that are held, each in about 300 bytes; of more, a sample."""
STEPS = 10
"""Of pass rates between never and always."""


class Task(msgspec.Struct, gc=False):
    """What is held of a task."""

    prompt: int
    """Hash of one of its prompts."""
    rollouts: int
    solved: int
    low: float
    high: float
    mixed: bool = False
    """It has another prompt, too."""

    @property
    def step(self) -> int:
        """0 for never solved, STEPS + 1 for always, and the tenths between."""
        if self.solved in (0, self.rollouts):
            return STEPS + 1 if self.solved else 0
        return 1 + self.solved * STEPS // self.rollouts


class TaskCounts:
    """All tasks, or a sample of them."""

    def __init__(self) -> None:
        self._tasks: Sampled[Task] = Sampled(MOST_TASKS)
        self._in_tasks: Sampled[tuple[int, int]] = Sampled(MOST_TASKS)
        """For each prompt the smallest and the largest hash of its tasks."""

    def add(self, task: str, prompt: int, reward: float, solved: bool) -> None:
        key = hash_of(task)
        self._tasks.add(key, Task(prompt, 1, int(solved), reward, reward), _merged)
        self._in_tasks.add(prompt, (key, key), _range)

    def merge(self, other: "TaskCounts") -> None:
        self._tasks.merge(other._tasks, _merged)
        self._in_tasks.merge(other._in_tasks, _range)

    def summary(self) -> Tasks:
        tasks, scaled = self._tasks.values(), self._tasks.scaled
        shared = sum(first != last for first, last in self._in_tasks.values())
        steps = [0] * (STEPS + 2)
        for task in tasks:
            steps[task.step] += 1
        steps = [scaled(count) for count in steps]
        return Tasks(
            count=scaled(len(tasks)),
            share=self._tasks.share,
            single=scaled(sum(task.rollouts == 1 for task in tasks)),
            differing=scaled(sum(task.low != task.high for task in tasks)),
            never=steps[0],
            sometimes=sum(steps[1:-1]),
            always=steps[-1],
            mixed=scaled(sum(task.mixed for task in tasks)),
            shared_prompts=self._in_tasks.scaled(shared),
            pass_rates=_bars(steps),
            rollouts=spread_of(task.rollouts for task in tasks).figures(),
        )


def _merged(one: Task, other: Task) -> Task:
    one.mixed |= other.mixed or one.prompt != other.prompt
    one.rollouts += other.rollouts
    one.solved += other.solved
    one.low = min(one.low, other.low)
    one.high = max(one.high, other.high)
    return one


def _range(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])


def _bars(steps: list[int]) -> list[Bar]:
    between = [
        Bar((step - 1) / STEPS, step / STEPS, steps[step]) for step in range(1, len(steps) - 1)
    ]
    return [Bar(0, 0, steps[0]), *between, Bar(1, 1, steps[-1])]
