"""A project becomes what was merged: git's index first and at once, with all conflicts in it, then
the files. Whatever stops it, git knows what it was about; what fails halfway is undone.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from scaffolder import taking_back
from scaffolder.errors import CannotWrite, GitFailed, UserError
from scaffolder.git import git, own_file
from scaffolder.index import File, change, lines, removals
from scaffolder.repository import Repository


def take_over(theirs: Repository, files: Sequence[File], pack: Path, work: Path) -> str:
    """Change index and files; what git does not know stays. Returns the line that takes it back.

    Args:
        files: as the repository has looked at them.
        pack: the objects that are new.
        work: a folder for what is only needed meanwhile.

    Raises:
        GitFailed, CannotWrite: when nothing is changed, or else with that line.
        NotCommitted: when the project has changed meanwhile.
    """
    theirs.check_unchanged()
    git(["unpack-objects", "-q"], theirs.path, given=pack)
    saved = Path(shutil.copy(own_file("index", theirs.path), work / "saved.index"))
    line = taking_back.record(files, theirs.path, theirs.prefix)
    change([*removals(files, theirs.prefix), *lines(files, theirs.prefix)], theirs.top)
    try:
        _write(theirs, files, work)
    except (OSError, UserError) as error:
        failed = CannotWrite(theirs.path, error) if isinstance(error, OSError) else error
        try:
            _undo(theirs, files, saved)
        except (OSError, UserError):
            failed.remedy = f"Some files have changed: `{line}` in the project takes it back."
        raise failed from error
    return line


def _write(theirs: Repository, files: Sequence[File], work: Path) -> None:
    """Change the files; git writes them, with the owner's line ends and filters."""
    for file in files:
        if file.after is None:
            _remove(file.path, theirs.path)
    written = [
        replace(each, sides=())
        for each in files
        if each.after and each.after != each.before and not each.kept
    ]
    index = {"GIT_INDEX_FILE": str(work / "written.index")}
    change(lines(written, theirs.prefix), theirs.top, index)
    git(["checkout-index", "--all", "--force"], theirs.top, index)
    _refresh(theirs)


def _remove(path: str, project: Path) -> None:
    """A file, and the folders that are empty then."""
    place = project / path
    place.unlink(missing_ok=True)
    for folder in place.parents:
        if folder == project or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _refresh(theirs: Repository) -> None:
    with suppress(GitFailed):  # of files elsewhere that are edited
        git(["update-index", "-q", "--unmerged", "--refresh"], theirs.top)


def _undo(theirs: Repository, files: Sequence[File], saved: Path) -> None:
    """Bring back all files, then the index.

    Args:
        saved: the index as it was, which knows what has not been touched.
    """
    for file in files:
        if file.is_new:
            _remove(file.path, theirs.path)
    index = {"GIT_INDEX_FILE": str(saved)}
    paths = {f"{theirs.prefix}{file.path}" for file in files}
    differing = git(["diff-files", "--name-only", "-z"], theirs.top, index).split("\0")
    changed = "".join(f"{path}\0" for path in differing if path in paths)
    git(["checkout-index", "--force", "-z", "--stdin"], theirs.top, index, given=changed)
    before = [replace(file, after=file.before, sides=()) for file in files]
    change([*removals(files, theirs.prefix), *lines(before, theirs.prefix)], theirs.top)
    _refresh(theirs)
