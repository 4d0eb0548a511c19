"""What is true of one framework alone, one file each.

    ROWS        dataset kind -> function that turns one thing built into one row
    COLUMNS     dataset kind -> names and types of the row's columns, for parquet
    REFUSED     dataset kind -> why there is no row of that kind, and what to do instead
    CONFIG      where the trainer's config says how long a row may be, and which model is trained
    LOG_NAMES   names in the framework's own log -> those of ours
    parts_of    the folder of a checkpoint that only the framework's own tools can join
    join        write the model of such a folder as one

The last three may be missing. The things built are rollouts for sft and prompts, and for the other
kinds what `data/build.py` makes of them. A row is a struct or a dict; msgspec.json.encode makes one
line of JSONL of it. A framework that is none of these has such a module in the project's folder:
`acme_rows.py`, where pyproject.toml says `framework = "acme"` in `[tool.rl-rollouts]`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ..config import project


class ConfigKeys(NamedTuple):
    """Where a framework's config says what reports want to know. A dot goes one level down."""

    limit: tuple[str, ...]
    """Tokens of a row; the first that is there counts."""
    model: tuple[str, ...]
    fate: str
    """What becomes of a longer row."""
    default: int | None = None
    """The limit where the config gives none."""
    choice: str = ""
    """The key that decides about the fate, where there is one."""
    fates: Mapping[str, str] = {}
    """What its values mean."""


@cache
def known() -> Mapping[str, Any]:
    """All modules by the framework's name, and that of the project at hand."""
    names = {each.name: f"{__name__}.{each.name}" for each in pkgutil.iter_modules(__path__)}
    found = project()
    if found.framework not in names and (found.folder / f"{found.framework}_rows.py").is_file():
        names[found.framework] = f"{found.framework}_rows"
    return {name: importlib.import_module(module) for name, module in names.items()}


def log_names() -> Mapping[str, str]:
    """What any framework's log calls what ours calls otherwise."""
    every = [getattr(module, "LOG_NAMES", {}) for module in known().values()]
    return {name: ours for names in every for name, ours in names.items()}
