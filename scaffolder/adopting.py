"""A fresh clone becomes a project: what its host put there stays as it is, and nothing is
overwritten."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scaffolder.staging import left_behind

OF_HOSTS = re.compile(
    r"(readme|licen[cs]e|copying|notice)([.-].+)?|\.gitignore|\.gitattributes", re.IGNORECASE
)
"""What GitHub, GitLab and the Hugging Face Hub begin a repository with."""
BESIDE = {"README.md": "README.rl-scaffolder.md", ".gitignore": ".gitignore.rl-scaffolder"}
"""Names of files of ours in a project where theirs have the usual ones."""


def found_in(folder: Path) -> tuple[str, ...] | None:
    """The files of a fresh clone, without git's own; None where it is no such folder."""
    if not folder.is_dir():
        return None
    left = set(left_behind(folder))
    there = {path.name: path for path in folder.iterdir() if path not in left}
    git_own = there.pop(".git", None)
    if git_own is None or git_own.is_symlink() or not (git_own.is_file() or _is_own(git_own)):
        return None
    plain = all(path.is_file() and not path.is_symlink() for path in there.values())
    fresh = plain and all(OF_HOSTS.fullmatch(name) for name in there)
    return tuple(sorted(there)) if fresh else None


def _is_own(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def set_beside(folders: Iterable[Path], there: Iterable[str]) -> None:
    """Give files of rendered projects other names, where a clone has those already."""
    for name in set(there) & BESIDE.keys():
        for folder in folders:
            if (folder / name).is_file():
                (folder / name).rename(folder / BESIDE[name])


def were_there(project: Path) -> tuple[str, ...]:
    """Which files of a project are its owner's, because they were there before it."""
    return tuple(name for name, other in BESIDE.items() if (project / other).is_file())


def notes(files: Sequence[str], there: Sequence[str]) -> Iterable[str]:
    """What its owner should know, a paragraph each."""
    if there:
        yield f"Left as they were: {', '.join(there)}."
    for name in (name for name in BESIDE if BESIDE[name] in files):
        how = f": `cat {BESIDE[name]} >> {name}`" if name == ".gitignore" else ""
        yield f"What the project has for {name} is in {BESIDE[name]}{how}."
