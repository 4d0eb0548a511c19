"""The config keys that one version of a framework accepts, as extracted from its package.

`schema.json` in a framework's folder holds them; `make schemas` writes it, and
`tests/contracts/extraction.py` describes its form.
"""

import difflib
import json
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

    def keys(self, algorithm: str) -> Mapping[str, Key]:
        """The keys that an algorithm's config may have, by name; empty for an unknown one."""
        return self._keys.get(algorithm, {})

    def key(self, algorithm: str, name: str) -> Key | None:
        return self.keys(algorithm).get(name)

    def elsewhere(self, name: str) -> tuple[str, Key] | None:
        """An algorithm that has the key, and the key."""
        return next(((each, keys[name]) for each, keys in self._keys.items() if name in keys), None)

    def nearest(self, name: str, algorithm: str | None = None) -> str | None:
        """The key that was probably meant, of one algorithm or of all."""
        chosen = [algorithm] if algorithm else self.algorithms
        known = sorted({key for each in chosen for key in self.keys(each)})
        near = difflib.get_close_matches(name, known, n=1)
        return near[0] if near else None

    @cached_property
    def _keys(self) -> Mapping[str, Mapping[str, Key]]:
        return {name: self._of(classes) for name, classes in self.content["algorithms"].items()}

    def _of(self, classes: list[str]) -> dict[str, Key]:
        """The keys of some classes; where two have the same, that of the first."""
        known = self.content["classes"]
        found: dict[str, Key] = {}
        for owner in classes:
            for holder in (owner, *known[owner]["inherits"]):
                for name, described in known[holder]["keys"].items():
                    found.setdefault(name, _key(name, owner, described))
        return found


def load(folder: Path, version: str) -> Schema | None:
    """The schema in a framework's folder; None where there is none, or that of another version."""
    found = _read(folder / FILE)
    return found if found and found.version == version else None


def _key(name: str, owner: str, described: Mapping[str, Any]) -> Key:
    return Key(
        name=name,
        owner=owner,
        type=described["type"],
        default=described.get("default"),
        required="default" not in described,
        choices=tuple(described.get("choices", ())),
        limits=tuple((word, described[word]) for word in LIMITS if word in described),
    )


@cache
def _read(path: Path) -> Schema | None:
    if not path.is_file():
        return None
    content = json.loads(path.read_text("utf-8"))
    return Schema(content["framework"], content["version"], content)
