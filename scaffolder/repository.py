"""The owner's repository: that a project is in, at its root or in a folder of it.

What git has can be brought back, and only that is changed.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scaffolder import taking_back
from scaffolder.errors import GitFailed, InTheWay, NotCommitted
from scaffolder.git import git, own_file
from scaffolder.index import File
from scaffolder.saved import ANSWERS


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._check()
        self.prefix = git(["rev-parse", "--show-prefix"], path).rstrip("\n")
        self.top = Path(git(["rev-parse", "--show-toplevel"], path).rstrip("\n"))
        self.tree = self._tree()
        self.format = git(["rev-parse", "--show-object-format"], path).strip()
        self.objects = own_file("objects", path)

    def _tree(self) -> str:
        return git(["rev-parse", "HEAD:./"], self.path).strip()

    def check_unchanged(self) -> None:
        """Refuse a project that is not what it was a moment ago."""
        self._check()
        if self._tree() != self.tree:
            why = "there is a new commit since the update began"
            raise NotCommitted(self.path, why, "Update again.")

    def _check(self) -> None:
        """Refuse a project whose state could not be brought back."""
        begin = "`git init`, `git add --all` and `git commit` in the project, then update again."
        try:
            git(["rev-parse", "--verify", "--quiet", "HEAD"], self.path)
            git(["cat-file", "-e", f"HEAD:./{ANSWERS}"], self.path)
        except GitFailed as error:
            if any("dubious ownership" in reason for reason in error.reasons):
                raise
            raise NotCommitted(self.path, "it is not committed to git", begin) from None
        if git(["ls-files", "--unmerged", "--", ":/"], self.path):
            remedy = f"Solve the conflicts and commit{self._or_take_back()}."
            raise NotCommitted(self.path, "a merge is not finished", remedy)
        state = ["status", "--porcelain", "--untracked-files=no", "--", "."]
        if changed := git(state, self.path).splitlines():
            why = f"{len(changed)} file(s) have changes that are not committed"
            remedy = f"Commit or stash them{self._or_take_back()}, then update again."
            raise NotCommitted(self.path, why, remedy)

    def _or_take_back(self) -> str:
        line = taking_back.last(self.path)
        return f", or take the last update back (`{line}` in the project)" if line else ""

    def look(self, files: Iterable[File]) -> list[File]:
        """The same, where those that are not in git and would be written over are kept.

        Raises:
            InTheWay: when such a file is neither the template's own nor ignored.
            NotCommitted: when git is told to overlook changes of one.
        """
        files = list(files)
        self._refuse_overlooked([file.path for file in files if file.before])
        gone = {file.path for file in files if file.after is None}
        blockers = {
            file.path: blocker
            for file in files
            if file.is_new and (blocker := self._blocker(file.path, gone))
        }
        if not blockers:
            return files
        seen = self._not_ignored(set(blockers.values()))
        looked = [
            self._kept(each, blockers[each.path], seen) if each.path in blockers else each
            for each in files
        ]
        if refused := [each.path for each in looked if each.path in blockers and not each.kept]:
            raise InTheWay(sorted({blockers[path] for path in refused}))
        return looked

    def _refuse_overlooked(self, paths: Sequence[str]) -> None:
        """Those marked `assume-unchanged` or `skip-worktree`: git says nothing of their edits."""
        listed = git(["ls-files", "-v", "-z"], self.path).rstrip("\0").split("\0")
        marked = {name for mark, _, name in (each.partition(" ") for each in listed) if mark != "H"}
        if found := sorted(marked.intersection(paths)):
            why = f"git is told to overlook changes of {', '.join(found)}"
            words = f"git update-index --no-skip-worktree --no-assume-unchanged {' '.join(found)}"
            raise NotCommitted(self.path, why, f"`{words}`, commit, then update again.")

    def _blocker(self, path: str, gone: set[str]) -> str | None:
        """What lies where a file is to be written, or one of its folders; not what goes anyway."""
        for folder in [*PurePosixPath(path).parents][-2::-1]:
            place = self.path / folder
            if place.is_symlink() or place.is_file():
                return None if str(folder) in gone else str(folder)
        place = self.path / path
        if place.is_dir() and not place.is_symlink():
            inside = (each for each in place.rglob("*") if each.is_symlink() or not each.is_dir())
            stays = any(str(each.relative_to(self.path)) not in gone for each in inside)
            return path if stays else None
        return path if os.path.lexists(place) else None

    def _not_ignored(self, paths: set[str]) -> set[str]:
        """Of what is not in git, that which git would not ignore; of a folder anything in it."""
        words = ["--literal-pathspecs", "ls-files", "--others", "--exclude-standard", "-z", "--"]
        listed = git([*words, *sorted(paths)], self.path).split("\0")
        return {path for path in paths for each in listed if f"{each}/".startswith(f"{path}/")}

    def _kept(self, file: File, blocker: str, seen: set[str]) -> File:
        """A file in whose place there is one that git has not got."""
        place = self.path / file.path
        plain = blocker == file.path and place.is_file() and not place.is_symlink()
        if plain and not file.sides and self._is_same(file):
            return replace(file, kept=True)
        if blocker in seen and not (file.sides and plain):
            return file
        return replace(file, kept=True, sides=file.sides or (f"{file.after} 3",))

    def _is_same(self, file: File) -> bool:
        there = git(["hash-object", "--", file.path], self.path).strip()
        return file.after is not None and file.after.endswith(there)
