"""The commit of a new project, whatever the user's settings of git are."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from scaffolder.errors import GitFailed
from scaffolder.git import git

FALLBACK_IDENTITY = {
    "GIT_AUTHOR_NAME": "rl-scaffolder",
    "GIT_AUTHOR_EMAIL": "new@rl-scaffolder.invalid",
    "GIT_COMMITTER_NAME": "rl-scaffolder",
    "GIT_COMMITTER_EMAIL": "new@rl-scaffolder.invalid",
}
_SETTINGS = (
    *("core.autocrlf=false", "core.safecrlf=false", "commit.gpgsign=false"),
    *(f"core.{name}={os.devnull}" for name in ("hooksPath", "excludesFile", "attributesFile")),
)
_PLAINLY = tuple(word for setting in _SETTINGS for word in ("-c", setting))
"""Options of git with which no setting of the user changes what is committed."""


def repository_above(folder: Path) -> Path | None:
    """Also one of another user, of which git would otherwise say nothing."""
    question = ["-c", "safe.directory=*", "rev-parse", "--show-toplevel"]
    try:
        return Path(git(question, folder).rstrip("\n"))
    except GitFailed:
        return None


def first(project: Path, message: str) -> None:
    """One commit of every file as it is, in a new repository, under the user's name where git knows
    it.

    Raises:
        GitFailed
    """
    try:
        git(["init", "--quiet", "--initial-branch=main", "--template="], project)
        git([*_PLAINLY, "add", "--all"], project)
        words = ["commit", "--quiet", "--message", message]
        git([*_PLAINLY, *words], project, _identity(project))
    except GitFailed as error:
        raise _or_none(error) from None


def on_top(clone: Path, files: Sequence[str], message: str) -> None:
    """One commit of some files, also of those that the clone's .gitignore would leave out.

    Raises:
        GitFailed: and then nothing is in the index.
    """
    literal, paths = [*_PLAINLY, "--literal-pathspecs"], ["--", *files]
    try:
        git([*literal, "add", "--force", *paths], clone)
        words = ["commit", "--quiet", "--message", message]
        git([*literal, *words, *paths], clone, _identity(clone))
    except GitFailed as error:
        git([*literal, "rm", "--cached", "--quiet", "--ignore-unmatch", *paths], clone)
        raise _or_none(error) from None


def _or_none(error: GitFailed) -> GitFailed:
    error.remedy += " --no-git leaves out the project's commit."
    return error


def _identity(project: Path) -> Mapping[str, str] | None:
    """Ours, where git knows none."""
    try:
        for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            git(["var", variable], project)
    except GitFailed:
        return FALLBACK_IDENTITY
    return None
