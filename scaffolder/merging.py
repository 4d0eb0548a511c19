"""The three-way merge of an update, in a repository of our own."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scaffolder import library
from scaffolder.errors import GitFailed, NoProject
from scaffolder.git import ISOLATED, commit_of, git, quoted, start, tree_of
from scaffolder.index import File, change, removals
from scaffolder.moved import Moved, find
from scaffolder.repository import Repository
from scaffolder.saved import ANSWERS, read_answers

Kind = Literal["new", "updated", "merged", "conflict", "removed", "left"]
KINDS: Mapping[Kind, str] = {
    "new": "are new",
    "updated": "change; you had not edited them",
    "merged": "change, and keep your edits",
    "conflict": "need you: your edits and the template's do not go together",
    "removed": "go; you had not edited them",
    "left": "go, with your edits: the new framework has no such file, and git keeps them",
}
"""What becomes of a file, in words."""


@dataclass(frozen=True)
class Change:
    """What becomes of one file."""

    path: str
    """Relative to the project."""
    kind: Kind
    marked: bool = False
    """Whether both sides of a conflict stand in it, between git's marks."""
    in_git: bool = True
    """False where the owner's is not, so that it stays as it is."""


@dataclass(frozen=True)
class Merged:
    commit: str
    """In the merge's repository; files in conflict as they stand with both sides."""
    files: tuple[File, ...]
    """That change or are in conflict."""
    edited: frozenset[str]
    """Paths of what the owner had changed."""
    diff: str
    wheels: tuple[str, ...]
    """Of the library, that the project had."""
    moved: Moved


class Merge:
    """The three-way merge, in a repository of our own that sees the user's objects."""

    def __init__(self, theirs: Repository, old: Path, new: Path, work: Path) -> None:
        self.work = work
        self._to_be = new
        self._there = work / "merge"
        start(self._there, f"--object-format={theirs.format}")
        objects = os.fsencode(f"{quoted(str(theirs.objects))}\n")
        (self._there / ".git/objects/info/alternates").write_bytes(objects)
        self._base = commit_of(tree_of(old, self._there), self._there, "as it was rendered")
        self._ours = commit_of(theirs.tree, self._there, "the project", [self._base])
        self._new = commit_of(tree_of(new, self._there), self._there, "newest", [self._base])

    def run(self, version: str, *, same_framework: bool) -> Merged:
        """Merge, and say what becomes of each file.

        Args:
            same_framework: bring edits of a file to where it is now. Files of two frameworks are
                alike and mean different things, and what only the old one has goes.
        """
        name = f"rl-scaffolder-{version.replace(' ', '-')}"
        self._git("branch", name, self._new)
        self._git("checkout", "--quiet", "--detach", self._ours)
        renames = f"merge.renames={str(same_framework).lower()}"
        try:
            self._git("-c", renames, "merge", "--quiet", "--no-ff", "--no-commit", name)
        except GitFailed:
            if not self._git("ls-files", "--unmerged"):
                raise
        self._settle_answers()
        if not same_framework:
            self._leave()
        sides = self._sides()
        add = ["update-index", "--add", "--remove", "-z", "--stdin"]
        git(add, self._there, ISOLATED, given="".join(f"{path}\0" for path in sides))
        wheels = self._replace_library()
        tree = self._git("write-tree").strip()
        commit = commit_of(tree, self._there, "merged", [self._ours])
        files = tuple(self._files(commit, sides))
        edited = frozenset(path for path, *_ in self._differing(self._base, self._ours))
        diff = self._git("diff", "--no-color", "--no-ext-diff", self._ours, commit)
        moved = find(self._there, self._base, self._new, commit, sides)
        return Merged(commit, files, edited - {library.path(), *wheels}, diff, wheels, moved)

    def _settle_answers(self) -> None:
        """Those that the project is to have: no mixture of two, and none in conflict."""
        try:
            merged = read_answers(self._there)
        except NoProject:
            merged = {}
        if merged != read_answers(self._to_be):
            self._git("checkout", "--quiet", self._new, "--", ANSWERS)

    def _leave(self) -> None:
        """Let go of edited files that the new templates do not have."""
        sides = self._sides()
        gone = [path for path, each in sides.items() if not any(s.endswith(" 3") for s in each)]
        if gone:
            self._git("--literal-pathspecs", "rm", "--quiet", "--force", "--", *gone)

    def _sides(self) -> dict[str, tuple[str, ...]]:
        """`mode id stage` of each side of each file in conflict."""
        found: dict[str, tuple[str, ...]] = {}
        for entry in self._lines("ls-files", "--unmerged", "-z"):
            side, path = entry.split("\t", 1)
            found[path] = (*found.get(path, ()), side)
        return found

    def _replace_library(self) -> tuple[str, ...]:
        """The newest, whatever became of the one that was there; that one's paths."""
        before = self._lines("ls-files", "-z", "--", library.WHEELS)
        write = ["hash-object", "-w", "--stdin"]
        blob = git(write, self._there, ISOLATED, given=library.wheel()[1]).strip()
        gone = [File(path, f"100644 {blob}", None) for path in before]
        change([*removals(gone), f"100644 {blob} 0\t{library.path()}"], self._there, ISOLATED)
        return before

    def packed(self, commit: str) -> Path:
        """A pack of what the user's repository has not got."""
        wanted = f"{commit}\n{self._base}\n{self._new}\n^{self._ours}^{{tree}}\n"
        words = ["pack-objects", "--revs", "--quiet", str(self.work / "pack")]
        return self.work / f"pack-{git(words, self._there, ISOLATED, given=wanted).strip()}.pack"

    def _files(self, commit: str, sides: Mapping[str, tuple[str, ...]]) -> Iterator[File]:
        """What differs between the project and what it is to be, and what is in conflict."""
        differing = set()
        for path, before, after in self._differing(self._ours, commit):
            differing.add(path)
            yield File(path, before, after, sides.get(path, ()))
        for entry in self._lines("ls-tree", "-r", "-z", self._ours):
            head, path = entry.split("\t", 1)
            if path in sides and path not in differing:
                mode, _, blob = head.split()
                yield File(path, f"{mode} {blob}", f"{mode} {blob}", sides[path])

    def _differing(self, one: str, other: str) -> Iterator[tuple[str, str | None, str | None]]:
        """Path of each file that differs, with `mode id` on both sides."""
        words = self._lines("diff", "--raw", "--no-abbrev", "--no-renames", "-z", one, other)
        for head, path in zip(words[::2], words[1::2], strict=True):
            mode, new_mode, blob, new_blob, status = head.removeprefix(":").split()
            before = None if status == "A" else f"{mode} {blob}"
            yield path, before, None if status == "D" else f"{new_mode} {new_blob}"

    def _lines(self, *command: str) -> tuple[str, ...]:
        printed = self._git(*command)
        return tuple(printed.rstrip("\0").split("\0")) if printed else ()

    def _git(self, *command: str) -> str:
        return git(command, self._there, ISOLATED)


def changes(files: Iterable[File], edited: Collection[str]) -> list[Change]:
    """What becomes of each file in a word, by kind and path."""
    found = [
        Change(each.path, _kind(each, edited), _is_marked(each), not each.kept) for each in files
    ]
    order = list(KINDS)
    return sorted(found, key=lambda change: (order.index(change.kind), change.path))


def _kind(file: File, edited: Collection[str]) -> Kind:
    if file.sides:
        return "conflict"
    if file.before is None:
        return "new"
    if file.after is None:
        return "left" if file.path in edited else "removed"
    return "merged" if file.path in edited else "updated"


def _is_marked(file: File) -> bool:
    return {"2", "3"} <= {side.rpartition(" ")[2] for side in file.sides}
