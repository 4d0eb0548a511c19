"""A project takes over newer templates, or other answers, and keeps its owner's edits.

Both templates are rendered again, the one it came from with the answers it has, and the newest with
the answers it is to have. What lies between the first and the project are its owner's edits. Git
merges the three, in a repository of our own, so that the project is only touched when all is done.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scaffolder import project, render
from scaffolder.errors import CannotWrite, GitFailed, InTheWay, NoProject, NotCommitted
from scaffolder.git import ISOLATED, commit_of, git, start, tree_of
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.staging import one_interrupt, staging
from scaffolder.templates import Edition

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
class Update:
    """What an update did, or would do."""

    before: Edition
    after: Edition
    changes: tuple[Change, ...]
    """By kind and path; none when the project is what it would become."""
    diff: str
    """Of all files, as git shows it."""

    @property
    def conflicts(self) -> list[str]:
        return [change.path for change in self.changes if change.kind == "conflict"]


def update(path: Path, spec: ProjectSpec, plan: Plan, *, dry_run: bool = False) -> Update:
    """Merge what the newest templates make of a spec into a project.

    Changes are staged, not committed. Of a conflict both sides stand in the file, as after a merge.

    Raises:
        NoProject: when the folder holds none.
        NotCommitted: when the project is not in git as it stands.
        UnknownEdition: when its templates are not in the history.
        InTheWay: when a file that git does not know would be overwritten.
    """
    answers = project.read_answers(path)
    before = edition_of(path, answers)
    theirs = _Repository(path)
    folder = Path(tempfile.gettempdir())
    with one_interrupt() as finish:
        try:
            with staging(folder) as work:
                old = render.render(_choices(answers), _folder(work / "old"), before)
                new = render.render(render.answers_of(spec, plan), _folder(work / "new"))
                merge = _Merge(theirs, old.path, new.path, work)
                after = edition_of(path, project.read_answers(new.path))
                same_framework = answers["framework"] == spec.framework
                merged = merge.run(str(after), follow_renames=same_framework)
                if merged.changes and not dry_run:
                    finish()
                    theirs.take_over(merge, merged)
        except OSError as error:
            raise CannotWrite(folder, error) from error
    return Update(before, after, merged.changes, merged.diff)


def edition_of(path: Path, answers: Mapping[str, Any]) -> Edition:
    """Which templates answers are from."""
    version = str(answers.get("_commit", ""))
    if not version.startswith("v") or "framework" not in answers:
        raise NoProject(path, f"its {project.ANSWERS} does not say which templates it came from")
    overlay = answers.get("overlay_version")
    return Edition(version.removeprefix("v"), None if overlay is None else str(overlay))


def _choices(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Without what Copier writes itself."""
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@dataclass(frozen=True)
class _Merged:
    commit: str
    """In the merge's repository; files in conflict as they stand with both sides."""
    unmerged: tuple[str, ...]
    """`mode id stage<tab>path` of each side of each file in conflict."""
    changes: tuple[Change, ...]
    diff: str


class _Repository:
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

    def take_over(self, merge: "_Merge", merged: _Merged) -> None:
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


class _Merge:
    """The three-way merge, in a repository of our own that sees the user's objects."""

    def __init__(self, theirs: _Repository, old: Path, new: Path, work: Path) -> None:
        self.work = work
        self._there = work / "merge"
        start(self._there, f"--object-format={theirs.format}")
        (self._there / ".git/objects/info/alternates").write_text(f"{theirs.objects}\n")
        self._base = commit_of(tree_of(old, self._there), self._there, "as it was rendered")
        self._ours = commit_of(theirs.tree, self._there, "the project", [self._base])
        self._new = commit_of(tree_of(new, self._there), self._there, "newest", [self._base])

    def run(self, version: str, *, follow_renames: bool) -> _Merged:
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
        tree = self._git("write-tree").strip()
        commit = commit_of(tree, self._there, "merged", [self._ours])
        diff = self._git("diff", "--no-color", "--no-ext-diff", self._ours, commit)
        return _Merged(commit, unmerged, tuple(self._changes(commit, paths)), diff)

    def packed(self, merged: _Merged) -> Path:
        """A pack of what the user's repository has not got."""
        wanted = f"{merged.commit}\n{self._base}\n{self._new}\n^{self._ours}^{{tree}}\n"
        words = ["pack-objects", "--revs", "--quiet", str(self.work / "pack")]
        return self.work / f"pack-{git(words, self._there, ISOLATED, given=wanted).strip()}.pack"

    def _changes(self, commit: str, conflicts: Sequence[str]) -> list[Change]:
        edited = {name for _, name in self._differing(self._base, self._ours)}
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
