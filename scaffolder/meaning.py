"""What a key of a config means, in words that are the same for every framework.

The words are those of answers where there is such an answer: `learning_rate`, `num_generations`.
Checks look at values by what they mean, and another framework takes them over.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scaffolder.project import Config


@dataclass(frozen=True)
class Meant:
    """The key, or the keys that together say one thing."""

    keys: tuple[str, ...]
    """With dots where nested."""
    together: Callable[[Iterable[Any]], Any] = math.prod
    """What several numbers make of themselves."""
    times: int = 1
    """Of a value that counts what one process does: the processes."""
    below: float = math.inf
    """Other values mean something else there: a warm-up that is a share below 1, and else steps."""
    words: Mapping[str, str] = field(default_factory=dict)
    """The framework's word and the common one; others have no counterpart."""

    @property
    def shown(self) -> str:
        return " x ".join(self.keys) if self.together is math.prod else " + ".join(self.keys)

    def read(self, config: Config) -> Any:
        """The common value; None where the config does not say it, or says it in no common word."""
        values = [config.get(key) for key in self.keys]
        if len(values) == 1 and self.times == 1:
            return self._common(_number(values[0]))
        numbers = [_number(value) for value in values]
        if not all(isinstance(each, int | float) for each in numbers):
            return None
        return self.together(numbers) * self.times

    def _common(self, value: Any) -> Any:
        if self.words:
            return self.words.get(str(value))
        return None if isinstance(value, int | float) and value >= self.below else value

    def written(self, value: Any) -> Any:
        """A common value as this framework says it; None where it cannot."""
        if not self.words:
            return value
        return next((own for own, common in self.words.items() if common == value), None)


Meanings = Mapping[str, Meant]


def of(**keys: str | tuple[str, ...]) -> dict[str, Meant]:
    """Meanings with the one key that says each; of several keys the sum."""
    return {
        name: Meant((key,)) if isinstance(key, str) else Meant(key, together=sum)
        for name, key in keys.items()
    }


def _number(value: Any) -> Any:
    """`1e-5`, which is text to YAML, as the number that frameworks read."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
