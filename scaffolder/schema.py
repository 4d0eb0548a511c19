"""The config keys that one version of a framework accepts, as extracted from its package.

`schema.json` in a framework's folder holds them; `make schemas` writes it, and
`tests/contracts/extraction.py` describes its form.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FILE = "schema.json"
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


@dataclass(frozen=True)
class Key:
    """One key of a config."""

    name: str
    owner: str
    """The framework's class that accepts it: of two that declare it, the first."""
    type: str
    """A Python annotation: `float`, `list[str] | None`."""
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()
    """All values that it may have; empty where its type says enough."""
    limits: tuple[tuple[str, float], ...] = ()
    """Words of `LIMITS` and their numbers."""
    shortest: int = 0
    """Letters that a text has at least."""
    reads: str = "yaml"
    """What becomes of text where something else is expected; words of `extraction.py`."""

    @property
    def names(self) -> list[str]:
        """The alternatives of its type, without what stands in brackets."""
        depth, parts = 0, [""]
        for letter in self.type:
            depth += (letter == "[") - (letter == "]")
            if letter == "|" and not depth:
                parts.append("")
            else:
                parts[-1] += letter
        return [part.partition("[")[0].strip() for part in parts]

    def number(self, value: Any) -> int | float | None:
        """The number that the framework makes of a value; None where it makes none.

        A whole number takes no exponent, and no point; pydantic takes 64.0.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if not isinstance(value, str) or self.reads == "yaml":
            return None
        return self._whole(value) if "int" in self.names else self._real(value)

    def _whole(self, text: str) -> int | float | None:
        try:
            return int(text)
        except ValueError:
            number = self._real(text)
        plain = self.reads == "pydantic" and re.fullmatch(r"[+-]?\d+\.0+", text)
        return number if "float" in self.names or plain else None

    def _real(self, text: str) -> float | None:
        if not {"int", "float"} & set(self.names):
            return None
        try:
            return float(text)
        except ValueError:
            return None


@dataclass(frozen=True)
class Schema:
    """All keys of one version of a framework."""

    framework: str
    version: str
    content: Mapping[str, Any]
    """The file, as parsed."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those that the version has keys for."""
        return tuple(self.content["algorithms"])

    @property
    def chat_templates(self) -> Mapping[str, str]:
        """SHA-256 of chat templates that the framework knows how to mark for training, by name."""
        found: Mapping[str, str] = self.content.get("chat_templates", {})
        return found

    @property
    def interpolates(self) -> bool:
        """Whether a value may be that of another key, as `${trainer.nnodes}`."""
        return bool(self.content.get("interpolates"))

    @property
    def files(self) -> tuple[str, ...]:
        """Other files of a project whose keys are known."""
        return tuple(self.content.get("files", ()))

    def keys(self, algorithm: str) -> Mapping[str, Key]:
        """The keys that an algorithm's config may have, or another file; empty for an unknown
        one."""
        return self._keys.get(algorithm, {})

    def sections(self, algorithm: str) -> frozenset[str]:
        """The mappings that keys stand in: `trainer` of `trainer.nnodes`."""
        return self._sections.get(algorithm, frozenset())

    def key(self, algorithm: str, name: str) -> Key | None:
        return self.keys(algorithm).get(name)

    def elsewhere(self, name: str) -> tuple[str, Key] | None:
        """An algorithm that has the key, and the key."""
        owners = ((each, self.keys(each)) for each in self.algorithms)
        return next(((each, keys[name]) for each, keys in owners if name in keys), None)

    def nearest(self, name: str, algorithm: str | None = None) -> str | None:
        """The key that was probably meant, of one algorithm or of all."""
        chosen = [algorithm] if algorithm else self.algorithms
        known = sorted({key for each in chosen for key in self.keys(each)})
        near = difflib.get_close_matches(name, known, n=1)
        return near[0] if near else None

    @cached_property
    def _keys(self) -> Mapping[str, Mapping[str, Key]]:
        named = {**self.content["algorithms"], **self.content.get("files", {})}
        return {name: self._of(classes) for name, classes in named.items()}

    @cached_property
    def _sections(self) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset(
                key[:place] for key in keys for place, letter in enumerate(key) if letter == "."
            )
            for name, keys in self._keys.items()
        }

    def _of(self, classes: list[str]) -> dict[str, Key]:
        """The keys of some classes; where two have the same, that of the first."""
        known = self.content["classes"]
        found: dict[str, Key] = {}
        for owner in classes:
            for holder in (owner, *known[owner]["inherits"]):
                for name, described in known[holder]["keys"].items():
                    reads = known[holder].get("reads", "yaml")
                    found.setdefault(name, _key(name, owner, reads, described))
        return found


def load(folder: Path, version: str) -> Schema | None:
    """The schema in a framework's folder; None where there is none, or that of another version."""
    found = _read(folder / FILE)
    return found if found and found.version == version else None


def _key(name: str, owner: str, reads: str, described: Mapping[str, Any]) -> Key:
    return Key(
        name=name,
        owner=owner,
        type=described["type"],
        default=described.get("default"),
        required="default" not in described,
        choices=tuple(described.get("choices", ())),
        limits=tuple((word, described[word]) for word in LIMITS if word in described),
        shortest=described.get("min_length", 0),
        reads=reads,
    )


@cache
def _read(path: Path) -> Schema | None:
    if not path.is_file():
        return None
    content = json.loads(path.read_text("utf-8"))
    return Schema(content["framework"], content["version"], content)
