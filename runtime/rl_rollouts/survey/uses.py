"""What each dataset kind would find, counted by the rules that make its rows."""

from array import array
from typing import NamedTuple

import msgspec

from ..data.build import demand_answer, demand_reward, mark, parting
from ..data.filter import Rules, head_rules, removed_by
from ..data.rollout import Rollout
from ..data.same import hash_of
from ..engine.choose import is_pair
from ..errors import Unusable
from ..values import IMITATED_FROM
from .bounded import Sampled
from .summary import Uses

MOST_GROUPS = 100_000
"""Prompts whose best and worst rollout is held, each in up to 500 bytes; of more, a sample."""
LONGEST = 24
"""Messages of a completion that are compared; of two that are the same so far it is not told
whether the model goes on differently."""


class Side(NamedTuple):
    """A rollout as it is ranked, the best first."""

    reward: float
    order: int
    marks: "array[int]"
    """Hashes of its messages; those that the model wrote are odd."""


class UseCounts:
    """Rows that could be made."""

    def __init__(self, solved_from: float) -> None:
        self._good_from = solved_from
        self._counts = Uses()
        self._groups: Sampled[tuple[Side, Side]] = Sampled(MOST_GROUPS)

    def add(self, rollout: Rollout, line: bytes) -> None:
        """Count a rollout as filtering and preparing do."""
        if is_removed(rollout):
            return
        counts = self._counts
        counts.kept += 1
        if rollout.worse is not None:
            counts.compared += 1
            counts.pairs += 1
            counts.good += 1
            counts.bad += 1
            return
        try:
            demand_answer(rollout)
            counts.answers += 1
            reward = demand_reward(rollout)
        except Unusable:
            return
        counts.judged += 1
        counts.best += reward >= IMITATED_FROM
        counts.good += reward >= self._good_from
        counts.bad += reward < self._good_from
        group = hash_of(rollout.tools, hash_of(rollout.task))
        side = Side(-reward, hash_of(line), _marks(rollout))
        self._groups.add(group, (side, side), _ends)

    def merge(self, other: "UseCounts") -> None:
        for name in Uses.__struct_fields__:
            setattr(self._counts, name, getattr(self._counts, name) + getattr(other._counts, name))
        self._groups.merge(other._groups, _ends)

    def summary(self) -> Uses:
        found = sum(_is_pair(*ends) for ends in self._groups.values())
        counts = self._counts
        pairs = counts.pairs + self._groups.scaled(found)
        return msgspec.structs.replace(counts, pairs=pairs)


def is_removed(rollout: Rollout) -> bool:
    """Whether filtering removes a rollout when nothing is asked for."""
    return removed_by(rollout, _rules) is not None


_rules = tuple(head_rules(Rules()))


def _ends(one: tuple[Side, Side], other: tuple[Side, Side]) -> tuple[Side, Side]:
    return min(one[0], other[0], key=_rank), max(one[1], other[1], key=_rank)


def _rank(side: Side) -> tuple[float, int]:
    return side.reward, side.order


def _marks(rollout: Rollout) -> "array[int]":
    marks = array("Q")
    for message in rollout.completion[:LONGEST]:
        wrote, says = mark(message)
        marks.append(hash_of(says) >> 1 << 1 | wrote)
    return marks


def _is_pair(best: Side, worst: Side) -> bool:
    if not is_pair(worst.reward - best.reward, 0.0):
        return False
    if best.marks == worst.marks:
        return len(best.marks) == LONGEST
    sides = (((bool(each & 1), each) for each in side.marks) for side in (best, worst))
    return parting(*sides) is not None
