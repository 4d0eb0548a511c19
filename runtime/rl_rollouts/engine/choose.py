"""Which rows of a task stay, decided over the index alone."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter

import msgspec

from ..data.filter import TaskRules
from .index import NO_ROW, PACKED, PAIR, Entry


class Picks:
    """Rows that stay, eight bytes each, and what happened to the others."""

    def __init__(self, *, balanced: bool = False) -> None:
        self.ids = array("Q")
        self.balanced = balanced
        """Whether orders and categories are kept, sixteen bytes more."""
        self.orders = array("Q")
        self.categories = array("Q")
        self.removed: Counter[str] = Counter()
        self.tasks = 0
        self.empty = 0
        """Tasks of which no row stays."""

    def add(self, entry: Entry) -> None:
        self.ids.append(entry.id)
        if self.balanced:
            self.orders.append(entry.order)
            self.categories.append(entry.category)

    def cut(self, length: int) -> int:
        """Forget all after the first `length`; returns how many those were."""
        cut = len(self.ids) - length
        for column in (self.ids, self.orders, self.categories):
            del column[length:]
        return cut

    def extend(self, other: "Picks") -> None:
        self.ids += other.ids
        self.orders += other.orders
        self.categories += other.categories
        self.removed += other.removed
        self.tasks += other.tasks
        self.empty += other.empty


def by_task(entries: Iterable[Entry]) -> Iterator[Iterator[Entry]]:
    """The entries of each task; each has to be read before the next."""
    return (group for _, group in groupby(entries, key=attrgetter("task")))


def twins(entries: Iterable[Entry]) -> "array[int]":
    """Ids of the rows whose group has been seen before. Entries come sorted by group."""
    found = array("Q")
    for same in by_task(entries):
        next(same)
        found.extend(entry.id for entry in same)
    return found


def count_tasks(entries: Iterable[bytes]) -> Picks:
    """Without any rule between rows all stay: only tasks are counted.

    Args:
        entries: packed, sorted by task.
    """
    picks = Picks()
    picks.tasks = sum(1 for _ in groupby(entries, key=_task))
    return picks


def first_of_each(entries: Iterable[bytes]) -> Picks:
    """The first row of each task. Entries are packed, and sorted by task and order."""
    picks = Picks()
    for _, of_task in groupby(entries, key=_task):
        picks.add(Entry._make(PACKED.unpack(next(of_task))))
    return picks


_task = itemgetter(slice(8))
"""The task of a packed entry."""


def choose(entries: Iterable[Entry], rules: TaskRules, dropped: "array[int]") -> Picks:
    """Apply the rules to each task.

    Args:
        entries: sorted by task and order.
        dropped: sorted ids of rows that are out already.
    """
    picks = Picks(balanced=rules.balance is not None)
    for task in by_task(entries):
        _choose_of_task(task, rules, dropped, picks)
    return picks


def _choose_of_task(
    entries: Iterable[Entry], rules: TaskRules, dropped: "array[int]", picks: Picks
) -> None:
    first = len(picks.ids)
    most = 1 if rules.select == "one" else rules.max_per_task
    count = solved = kept = 0
    best: Entry | None = None
    for entry in entries:
        count += 1
        solved += entry.reward >= rules.solved_from
        if entry.id == NO_ROW:
            continue
        if dropped and holds(dropped, entry.id):
            picks.removed["duplicates"] += 1
        elif rules.select == "best":
            if best is not None:
                picks.removed["not the best of their task"] += 1
            best = entry if best is None or entry.reward > best.reward else best
        elif most is not None and kept >= most:
            words = "not the one of their task" if most == 1 else f"more than {most} of their task"
            picks.removed[words] += 1
        else:
            kept += 1
            picks.add(entry)
    if best is not None:
        picks.add(best)
    outside = _outside(solved / count, rules)
    if outside is not None:
        picks.removed[outside] += picks.cut(first)
    picks.tasks += 1
    picks.empty += len(picks.ids) == first


def holds(ids: "array[int]", wanted: int) -> bool:
    at = bisect_left(ids, wanted)
    return at < len(ids) and ids[at] == wanted


def _outside(rate: float, rules: TaskRules) -> str | None:
    if rules.min_pass_rate is not None and rate < rules.min_pass_rate:
        return f"of tasks solved by less than {rules.min_pass_rate:g} of their rollouts"
    if rules.max_pass_rate is not None and rate > rules.max_pass_rate:
        return f"of tasks solved by more than {rules.max_pass_rate:g} of their rollouts"
    return None


def balance(picks: Picks, most: int | None) -> None:
    """Leave the same number of rows in each category, drawn by hash.

    Args:
        most: rows a category; None takes the size of the smallest.
    """
    by_category: dict[int, array[int]] = {}
    for at, category in enumerate(picks.categories):
        by_category.setdefault(category, array("Q")).append(at)
    limit = most or min(map(len, by_category.values()), default=0)
    kept = array("Q")
    for places in by_category.values():
        kept.extend(sorted(places, key=picks.orders.__getitem__)[:limit])
    removed = len(picks.ids) - len(kept)
    picks.removed["more than their category may have"] += removed
    picks.ids = array("Q", (picks.ids[at] for at in sorted(kept)))


class PairRules(msgspec.Struct, frozen=True):
    """Which pairs of rollouts are compared."""

    min_margin: float = 0.0
    pairs: str = "best_worst"
    """`best_worst`: one pair a prompt; `all`: every two that are far enough apart."""
    max_pairs: int = 100
    """Of one prompt, when all are taken."""


def pairs(entries: Iterable[Entry], rules: PairRules) -> Iterator[tuple[Entry, Entry]]:
    """The better and the worse row of each pair, for one task."""
    groups: dict[int, list[Entry]] = {}
    most = _most_compared(rules)
    for entry in entries:
        same = groups.setdefault(entry.group, [])
        same.append(entry)
        if len(same) > most:
            groups[entry.group] = _extremes(same, most // 4)
    for same in groups.values():
        yield from _pairs_of_prompt(same, rules)


def _most_compared(rules: PairRules) -> int:
    """Rows of one prompt that are held at once, of however many there are."""
    return 4 if rules.pairs == "best_worst" else 4 * rules.max_pairs


def _extremes(same: list[Entry], each: int) -> list[Entry]:
    """The best and the worst rows, between which the widest pairs lie."""
    ranked = _ranked(same)
    return ranked[:each] + ranked[-each:]


def _ranked(same: list[Entry]) -> list[Entry]:
    return sorted(same, key=lambda entry: (-entry.reward, entry.order))


def _pairs_of_prompt(same: list[Entry], rules: PairRules) -> Iterator[tuple[Entry, Entry]]:
    if same[0].category == PAIR:
        yield same[0], same[0]
        return
    ranked = _ranked(same)
    best, worst = ranked[0], ranked[-1]
    if not is_pair(best.reward - worst.reward, rules.min_margin):
        return  # and no two between them
    if rules.pairs == "best_worst":
        yield best, worst
        return
    found = 0
    for distance in range(len(ranked) - 1, 0, -1):
        for better, worse in zip(ranked, ranked[distance:], strict=False):
            if found == rules.max_pairs:
                return
            if is_pair(better.reward - worse.reward, rules.min_margin):
                found += 1
                yield better, worse


def is_pair(margin: float, min_margin: float) -> bool:
    """Ties make no pair. Rounded, so that 0.7 and 0.2 are 0.5 apart."""
    return round(margin, 9) > 0 and round(margin, 9) >= min_margin
