"""Mappings that do not grow with the input, and do not depend on its order.

Keys are hashes of 64 bits. A key that is held at the end was held from its first appearance on, so
what is known of it is whole.
"""

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Held = TypeVar("Held")
Combine = Callable[[Held, Held], Held]
HASH_BITS = 64


class Sampled(Generic[Held]):
    """An unbiased sample of the keys, once there are more than `most`.

    Held are the keys below a threshold, which is halved whenever there are too many below it.
    """

    def __init__(self, most: int) -> None:
        self._held: dict[int, Held] = {}
        self._most = most
        self._halved = 0

    @property
    def share(self) -> float:
        """Held, of all keys that were met; 1 when nothing was left out."""
        return 2.0**-self._halved

    def values(self) -> Collection[Held]:
        return self._held.values()

    def scaled(self, count: int) -> int:
        """A count of held keys as an estimate for all keys."""
        return count << self._halved

    def add(self, key: int, value: Held, combine: Combine[Held]) -> None:
        """Hold a value, combined with the one that is held already."""
        if self._admits(key):
            held = self._held.get(key)
            self._held[key] = value if held is None else combine(held, value)
            while len(self._held) > self._most:
                self._halve()

    def merge(self, other: "Sampled[Held]", combine: Combine[Held]) -> None:
        while self._halved < other._halved:
            self._halve()
        for key, value in other._held.items():
            self.add(key, value, combine)

    def _admits(self, key: int) -> bool:
        return not key >> (HASH_BITS - self._halved)

    def _halve(self) -> None:
        self._halved += 1
        self._held = {key: value for key, value in self._held.items() if self._admits(key)}


class Smallest(Generic[Held]):
    """The values of the smallest keys."""

    def __init__(self, most: int) -> None:
        self._held: dict[int, Held] = {}
        self._most = most

    def admits(self, key: int) -> bool:
        """Whether a value would be held, which is worth knowing before making it."""
        return len(self._held) < self._most or key <= max(self._held)

    def add(self, key: int, value: Held, combine: Combine[Held]) -> None:
        """Hold a value, combined with the one that is held already."""
        held = self._held.get(key)
        self._held[key] = value if held is None else combine(held, value)
        if len(self._held) > self._most:
            del self._held[max(self._held)]

    def merge(self, other: "Smallest[Held]", combine: Combine[Held]) -> None:
        for key, value in other._held.items():
            self.add(key, value, combine)

    def get(self, key: int) -> Held | None:
        return self._held.get(key)

    def in_order(self) -> list[Held]:
        return [self._held[key] for key in sorted(self._held)]
