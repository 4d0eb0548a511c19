"""Tasks, and how their rollouts did."""

import math

import msgspec

from ..data.normalise import number_of
from ..data.rollout import NULL, Rollout
from ..data.same import hash_of
from .bounded import Sampled
from .spread import spread_of
from .summary import Bar, Tasks
from .uses import is_removed

MOST_TASKS = 200_000
"""Tasks and prompts that are held, each in about 300 bytes; of more, a sample."""
NO_TOOLS = (bytes(NULL), b"[]")
STEPS = 10
"""Of pass rates between never and always."""


class Task(msgspec.Struct, gc=False):
    """What is held of a task."""

    rollouts: int
    solved: int
    low: float
    high: float
    """The first is above the second where no rollout has a reward."""
    asked: bool = False
    """Whether filtering keeps a rollout; of those, whether there are tools, and a ground truth."""
    tools: bool = False
    truth: bool = False

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
        self._numbers: Sampled[tuple[int, int]] = Sampled(MOST_TASKS)
        """For each agent's number of tasks the smallest and the largest hash of its prompts."""

    def add(self, rollout: Rollout, prompt: int, reward: float | None, solved: bool) -> None:
        task = rollout.task
        key = hash_of(task)
        low, high = (math.inf, -math.inf) if reward is None else (reward, reward)
        asked = not is_removed(rollout)
        tools = asked and bytes(rollout.tools) not in NO_TOOLS
        truth = asked and bytes(rollout.ground_truth) != bytes(NULL)
        one = Task(1, int(solved), low, high, asked, tools, truth)
        self._tasks.add(key, one, _merged)
        self._in_tasks.add(prompt, (key, key), _range)
        if number := number_of(task):
            self._numbers.add(hash_of(number), (prompt, prompt), _range)

    def merge(self, other: "TaskCounts") -> None:
        self._tasks.merge(other._tasks, _merged)
        self._in_tasks.merge(other._in_tasks, _range)
        self._numbers.merge(other._numbers, _range)

    def summary(self) -> Tasks:
        tasks, scaled = self._tasks.values(), self._tasks.scaled
        shared = sum(first != last for first, last in self._in_tasks.values())
        mixed = sum(first != last for first, last in self._numbers.values())
        steps = [0] * (STEPS + 2)
        for task in tasks:
            steps[task.step] += 1
        steps = [scaled(count) for count in steps]
        return Tasks(
            count=scaled(len(tasks)),
            share=self._tasks.share,
            single=scaled(sum(task.rollouts == 1 for task in tasks)),
            differing=scaled(sum(task.low < task.high for task in tasks)),
            never=steps[0],
            sometimes=sum(steps[1:-1]),
            always=steps[-1],
            mixed=self._numbers.scaled(mixed),
            shared_prompts=self._in_tasks.scaled(shared),
            pass_rates=_bars(steps),
            rollouts=spread_of(task.rollouts for task in tasks).figures(),
            asked=scaled(sum(task.asked for task in tasks)),
            tools=scaled(sum(task.tools for task in tasks)),
            truths=scaled(sum(task.truth for task in tasks)),
        )


def _merged(one: Task, other: Task) -> Task:
    one.rollouts += other.rollouts
    one.solved += other.solved
    one.low = min(one.low, other.low)
    one.high = max(one.high, other.high)
    one.asked |= other.asked
    one.tools |= other.tools
    one.truth |= other.truth
    return one


def _range(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])


def _bars(steps: list[int]) -> list[Bar]:
    between = [
        Bar((step - 1) / STEPS, step / STEPS, steps[step]) for step in range(1, len(steps) - 1)
    ]
    return [Bar(0, 0, steps[0]), *between, Bar(1, 1, steps[-1])]
