"""Git's index: what becomes of the files of a project, and how git is told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffolder.git import git


@dataclass(frozen=True)
class File:
    """What becomes of one file of the project, as git's index has it."""

    path: str
    """Relative to the project."""
    before: str | None
    """`mode id` in the last commit."""
    after: str | None
    """The same as it is to be on disk; of a conflict with both sides in it."""
    sides: tuple[str, ...] = ()
    """`mode id stage` of each side of a conflict."""
    kept: bool = False
    """Whether it lies there and is not in git: git is told of the template's side, and the file
    stays as it is."""

    @property
    def is_new(self) -> bool:
        """Whether it is to be written where nothing is."""
        return self.after is not None and self.before is None and not self.kept

    @property
    def entries(self) -> tuple[str, ...]:
        """As they are to be in the index."""
        return self.sides or ((f"{self.after} 0",) if self.after else ())


def lines(files: Iterable[File], prefix: str = "") -> Iterator[str]:
    """The entries with their paths, as git lists them."""
    for file in files:
        for entry in file.entries:
            yield f"{entry}\t{prefix}{file.path}"


def removals(files: Iterable[File], prefix: str = "") -> Iterator[str]:
    """What takes them out, before others may come."""
    for file in files:
        zeros = "0" * len((file.entries or (f"{file.before} 0",))[0].split()[1])
        yield f"0 {zeros}\t{prefix}{file.path}"


def change(changed: Iterable[str], top: Path, environment: Mapping[str, str] | None = None) -> None:
    """Change git's index all at once.

    Args:
        top: of the repository.
    """
    given = "".join(f"{line}\0" for line in changed)
    git(["update-index", "-z", "--index-info"], top, environment, given=given)
