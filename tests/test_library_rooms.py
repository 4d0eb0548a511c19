"""The rooms of the library: each imports those above it and none below, and no tool."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import LIBRARY

GROUND = ("errors", "values", "config", "http_json", "hub", "installed")
ROOMS = (
    *GROUND, "data", "engine", "frameworks", "models", "survey", "report", "rewards", "evaluation",
    "smoke", "pipeline", "kinds", "commands", "validate",
    "trainers",
)  # fmt: skip
"""In the order in which `__init__.py` and the rooms' own maps have them."""
FILES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")
STANDARD = {*sys.stdlib_module_names, "rl_rollouts"}


def imported(file: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names of modules, and whether they are imported with the file itself."""
    tree = ast.parse(file.read_text("utf-8"))
    package = ["rl_rollouts", *file.relative_to(LIBRARY).parent.parts]
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        at_once = id(node) not in late
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = [alias.name for alias in node.names] if not node.module else [""]
            for name in names:
                yield ".".join(filter(None, [*base, node.module, name])), at_once


def room_of(file: Path) -> str:
    return file.relative_to(LIBRARY).with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_room_imports_those_above_it(file: Path) -> None:
    own = room_of(file)
    assert own in ROOMS, f"{own} has no place among the rooms"
    for name, at_once in imported(file):
        first, *rest = name.split(".")
        assert first != "scaffolder"
        if first == "rl_rollouts" and rest:
            assert rest[0] in ROOMS[: ROOMS.index(own) + 1], name
        if own in GROUND and at_once:
            assert first in STANDARD, f"{name}: the ground stands on the standard library alone"


def test_every_room_has_a_map_of_all_its_files() -> None:
    for folder in (path for path in LIBRARY.iterdir() if (path / "__init__.py").is_file()):
        said = (folder / "__init__.py").read_text("utf-8")
        for file in folder.glob("[!_]*.py"):
            if folder.name != "frameworks":  # one file each, found by their names
                assert file.name in said, f"{folder.name}/__init__.py does not speak of {file.name}"


def test_files_stay_small() -> None:
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert max(long.values()) <= 330, max(long, key=lambda name: long[name])
