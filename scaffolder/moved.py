"""What was a project's own and is the library's now: which file became which.

Git finds a file of the old templates again by what it holds, and where that has changed too much
since, its name does. Listed is only what has another name and other content.
"""

import io
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scaffolder import library
from scaffolder.git import ISOLATED, git, tree_of

ALIKE = "--find-renames=40%"
RENAMED = {"config_file.py": "rl_rollouts/config.py"}
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b([^#\n]*)|import[ \t]+([\w., \t]+))", re.M
)
"""A relative one is of the library's own files, and not looked for."""


class Import(NamedTuple):
    """A file of the owner's that imports what is gone."""

    path: str
    module: str
    """As it is imported."""
    now: str
    """What the library calls it."""


class Moved(NamedTuple):
    """What of it the owner has to do with."""

    files: Mapping[str, str] = {}
    """Files in conflict that are the library's now, with their path in it."""
    imports: tuple[Import, ...] = ()


def find(repository: Path, base: str, new: str, merged: str, conflicts: Collection[str]) -> Moved:
    """Compare what the templates had with what they have, and with the library.

    Args:
        repository: that holds the three commits, with the last one's files beside it.
        base: the project as the old templates rendered it.
        new: the same of the newest.
        merged: the project as it is to be.
    """
    gone = set(_files(repository, base)).difference(_files(repository, new))
    if not any(path.endswith(".py") for path in gone):
        return Moved()
    now = dict(_found_again(repository, base, gone))
    files = {path: now[path] for path in conflicts if path in now}
    kept = [each for each in _files(repository, merged) if each.endswith(".py")]
    own = (each for each in kept if each not in gone and not each.startswith(f"{library.NAME}/"))
    return Moved(files, tuple(_imports(repository, own, _modules(now))))


def _files(repository: Path, commit: str) -> list[str]:
    listed = git(["ls-tree", "-r", "-z", "--name-only", commit], repository, ISOLATED)
    return listed.rstrip("\0").split("\0")


def _found_again(repository: Path, base: str, gone: Collection[str]) -> Iterator[tuple[str, str]]:
    """Path in the old templates and in the library."""
    folder = repository.parent / "library"
    with zipfile.ZipFile(io.BytesIO(library.wheel()[1])) as wheel:
        wheel.extractall(folder)
        there = [name for name in wheel.namelist() if name.startswith(f"{library.NAME}/")]
    words = ["diff", ALIKE, "-l0", "--diff-filter=R", "--name-status", "-z", base]
    listed = git([*words, tree_of(folder, repository)], repository, ISOLATED).split("\0")
    alike = RENAMED | dict(zip(listed[1::3], listed[2::3], strict=False))
    for path in sorted(gone):
        name = PurePosixPath(path).name
        called = [each for each in there if name in (PurePosixPath(each).name, _package(each))]
        if path in alike:
            yield path, alike[path]
        elif "/" in path and len(called) == 1:
            yield path, called[0]


def _package(path: str) -> str | None:
    """The name that a package would have as a file."""
    place = PurePosixPath(path)
    return f"{place.parent.name}.py" if place.name == "__init__.py" else None


def _modules(now: Mapping[str, str]) -> dict[str, str]:
    """Under which name each was imported, and under which it is now; packages by what they hold."""
    names = {_dotted(old): _dotted(new) for old, new in now.items() if old.endswith(".py")}
    rooms: dict[str, set[str]] = {}
    for old, new in names.items():
        rooms.setdefault(old.rpartition(".")[0], set()).add(new.rpartition(".")[0])
    packages = {
        old: min(new) if len(new) == 1 else library.NAME for old, new in rooms.items() if old
    }
    return packages | names


def _dotted(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


def _imports(
    repository: Path, paths: Iterator[str], modules: Mapping[str, str]
) -> Iterator[Import]:
    for path in paths:
        if not (repository / path).is_file():  # a link to what is not in git
            continue
        text = (repository / path).read_text("utf-8", errors="replace")
        for name in sorted(_imported(text).intersection(modules)):
            yield Import(path, name, modules[name])


def _imported(text: str) -> set[str]:
    """Names of modules, each also with the names that are taken from it."""
    found = set()
    for package, names, plain in IMPORT.findall(text):
        found |= {package, *(f"{package}.{name}" for name in re.findall(r"\w+", names))}
        found.update(re.findall(r"[\w.]+", plain))
    return found
