"""The three-way merge of an update, and the owner's repository that takes it over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scaffolder import library, project
from scaffolder.errors import GitFailed, InTheWay, NotCommitted
from scaffolder.git import ISOLATED, commit_of, git, start, tree_of
from scaffolder.moved import Moved, find

Kind = Literal["new", "updated", "merged", "conflict", "removed"]
KINDS: Mapping[Kind, str] = {
    "new": "are new",
    "updated": "change; you had not edited them",
    "merged": "change, and keep your edits",
    "conflict": "need you: your edits and the template's do not go together",
    "removed": "go; you had not edited them",
}
"""What becomes of a file, in words."""
TAKE_BACK = "`git restore --source=HEAD --staged --worktree .`"


@dataclass(frozen=True)
class Change:
    """What becomes of one file."""

    path: str
    """Relative to the project."""
    kind: Kind


@dataclass(frozen=True)
class Merged:
    commit: str
    """In the merge's repository; files in conflict as they stand with both sides."""
    unmerged: tuple[str, ...]
    """`mode id stage<tab>path` of each side of each file in conflict."""
    changes: tuple[Change, ...]
    diff: str
    wheels: tuple[str, ...]
    """Of the library, that the project had."""
    moved: Moved


class Repository:
    """The user's: that the project is in, at its root or in a folder of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check()
        self.prefix = git(["rev-parse", "--show-prefix"], path).rstrip("\n")
        self.tree = git(["rev-parse", f"HEAD:{self.prefix}"], path).strip()
        self.format = git(["rev-parse", "--show-object-format"], path).strip()
        objects = git(["rev-parse", "--git-path", "objects"], path).rstrip("\n")
        self.objects = (path / objects).resolve()

    def _check(self) -> None:
        """Refuse a project whose state could not be brought back."""
        begin = "`git init`, `git add --all` and `git commit` in the project, then update again."
        try:
            git(["rev-parse", "--verify", "--quiet", "HEAD"], self.path)
            git(["cat-file", "-e", f"HEAD:./{project.ANSWERS}"], self.path)
        except GitFailed as error:
            if any("dubious ownership" in reason for reason in error.reasons):
                raise
            raise NotCommitted(self.path, "it is not committed to git", begin) from None
        if git(["ls-files", "--unmerged", "--", ":/"], self.path):
            why, remedy = "a merge is not finished", "Solve the conflicts and commit."
            raise NotCommitted(self.path, why, remedy)
        state = ["status", "--porcelain", "--untracked-files=no", "--", "."]
        if changed := git(state, self.path).splitlines():
            why = f"{len(changed)} file(s) have changes that are not committed"
            raise NotCommitted(self.path, why, "Commit or stash them, then update again.")

    def take_over(self, merge: "Merge", merged: Merged) -> None:
        """Change files and index to what was merged; files that git does not know stay."""
        git(["unpack-objects", "-q"], self.path, given=merge.packed(merged))
        tree = git(["rev-parse", f"{merged.commit}^{{tree}}"], self.path).strip()
        whole = self._with(tree, merge.work) if self.prefix else tree
        top = Path(git(["rev-parse", "--show-toplevel"], self.path).rstrip("\n"))
        lines = [line for each in merged.unmerged for line in self._stages(each)]
        try:
            git(["read-tree", "-m", "-u", "HEAD", whole], top)
            git(["update-index", "-z", "--index-info"], top, given="".join(dict.fromkeys(lines)))
        except GitFailed as error:
            if any("would be overwritten" in reason for reason in error.reasons):
                raise InTheWay(error.reasons) from None
            error.remedy = f"Files may have changed: {TAKE_BACK} in the project takes it back."
            raise

    def _with(self, tree: str, work: Path) -> str:
        """The whole repository's tree, with another one in the project's place."""
        index = {"GIT_INDEX_FILE": str(work / "whole.index")}
        git(["read-tree", "HEAD"], self.path, index)
        git(["rm", "-r", "--cached", "--quiet", "--", "."], self.path, index)
        git(["read-tree", f"--prefix={self.prefix}", tree], self.path, index)
        return git(["write-tree"], self.path, index).strip()

    def _stages(self, entry: str) -> Iterator[str]:
        """Lines for git's index: first the merged file goes, then one side of it comes."""
        side, name = entry.split("\t", 1)
        yield f"0 {'0' * len(self.tree)}\t{self.prefix}{name}\0"
        yield f"{side}\t{self.prefix}{name}\0"


class Merge:
    """The three-way merge, in a repository of our own that sees the user's objects."""

    def __init__(self, theirs: Repository, old: Path, new: Path, work: Path) -> None:
        self.work = work
        self._there = work / "merge"
        start(self._there, f"--object-format={theirs.format}")
        (self._there / ".git/objects/info/alternates").write_text(f"{theirs.objects}\n")
        self._base = commit_of(tree_of(old, self._there), self._there, "as it was rendered")
        self._ours = commit_of(theirs.tree, self._there, "the project", [self._base])
        self._new = commit_of(tree_of(new, self._there), self._there, "newest", [self._base])

    def run(self, version: str, *, follow_renames: bool) -> Merged:
        """Merge, and say what becomes of each file.

        Args:
            follow_renames: bring edits of a file to where it is now; not wanted between
                frameworks, whose files are alike and mean different things.
        """
        name = f"rl-scaffolder-{version.replace(' ', '-')}"
        self._git("branch", name, self._new)
        self._git("checkout", "--quiet", "--detach", self._ours)
        renames = f"merge.renames={str(follow_renames).lower()}"
        try:
            self._git("-c", renames, "merge", "--quiet", "--no-ff", "--no-commit", name)
        except GitFailed:
            if not self._git("ls-files", "--unmerged"):
                raise
        unmerged = self._lines("ls-files", "--unmerged", "-z")
        paths = list(dict.fromkeys(entry.split("\t", 1)[1] for entry in unmerged))
        add = ["update-index", "--add", "--remove", "-z", "--stdin"]
        git(add, self._there, ISOLATED, given="".join(f"{path}\0" for path in paths))
        wheels = self._replace_library()
        tree = self._git("write-tree").strip()
        commit = commit_of(tree, self._there, "merged", [self._ours])
        diff = self._git("diff", "--no-color", "--no-ext-diff", self._ours, commit)
        changes = tuple(self._changes(commit, paths))
        moved = find(self._there, self._base, self._new, commit, paths)
        return Merged(commit, unmerged, changes, diff, wheels, moved)

    def _replace_library(self) -> tuple[str, ...]:
        """The newest, whatever became of the one that was there; that one's paths."""
        before = self._lines("ls-files", "-z", "--", library.WHEELS)
        write = ["hash-object", "-w", "--stdin"]
        blob = git(write, self._there, ISOLATED, given=library.wheel()[1]).strip()
        lines = [f"0 {'0' * len(blob)}\t{path}\0" for path in before]
        lines.append(f"100644 {blob}\t{library.path()}\0")
        index = ["update-index", "-z", "--index-info"]
        git(index, self._there, ISOLATED, given="".join(lines))
        return before

    def packed(self, merged: Merged) -> Path:
        """A pack of what the user's repository has not got."""
        wanted = f"{merged.commit}\n{self._base}\n{self._new}\n^{self._ours}^{{tree}}\n"
        words = ["pack-objects", "--revs", "--quiet", str(self.work / "pack")]
        return self.work / f"pack-{git(words, self._there, ISOLATED, given=wanted).strip()}.pack"

    def _changes(self, commit: str, conflicts: Sequence[str]) -> list[Change]:
        edited = {name for _, name in self._differing(self._base, self._ours)} - {library.path()}
        kinds: dict[str, Kind] = {"A": "new", "D": "removed"}
        found: dict[str, Kind] = {}
        for status, name in self._differing(self._ours, commit):
            found[name] = kinds.get(status, "merged" if name in edited else "updated")
        found |= dict.fromkeys(conflicts, "conflict")
        order = list(KINDS)
        ordered = sorted(found.items(), key=lambda item: (order.index(item[1]), item[0]))
        return [Change(name, kind) for name, kind in ordered]

    def _differing(self, one: str, other: str) -> Iterator[tuple[str, str]]:
        """Status and path of each file that differs."""
        words = self._lines("diff", "--name-status", "--no-renames", "-z", one, other)
        yield from zip(words[::2], words[1::2], strict=True)

    def _lines(self, *command: str) -> tuple[str, ...]:
        printed = self._git(*command)
        return tuple(printed.rstrip("\0").split("\0")) if printed else ()

    def _git(self, *command: str) -> str:
        return git(command, self._there, ISOLATED)
