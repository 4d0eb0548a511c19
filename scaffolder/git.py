"""Git, so that no setting, hook or variable of the user changes what is asked of it."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scaffolder.errors import GitFailed, MissingProgram

EPOCH = "2026-01-01T00:00:00+00:00"
"""Author and commit date, so that the same files give the same commit."""
ISOLATED: Mapping[str, str] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "rl-scaffolder",
    "GIT_AUTHOR_EMAIL": "templates@rl-scaffolder.invalid",
    "GIT_AUTHOR_DATE": EPOCH,
    "GIT_COMMITTER_NAME": "rl-scaffolder",
    "GIT_COMMITTER_EMAIL": "templates@rl-scaffolder.invalid",
    "GIT_COMMITTER_DATE": EPOCH,
}
"""An environment in which the user's own settings, hooks and identity do not matter."""
_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH")


def points_elsewhere(variable: str) -> bool:
    """Whether an environment variable could make git work on another repository or in another way.

    Hooks and wrappers set such variables; only who the user is and where the config lies matters.
    """
    return variable.startswith("GIT_") and not variable.startswith(_KEPT)


def git(
    arguments: Sequence[str],
    where: Path,
    environment: Mapping[str, str] | None = None,
    *,
    given: str | bytes | Path | None = None,
) -> str:
    """Run git in a folder and return what it printed.

    Args:
        given: what it reads from standard input, or a file with that.

    Raises:
        MissingProgram: when git is not installed.
        GitFailed: with what git said.
    """
    inherited = {name: os.environ[name] for name in os.environ if not points_elsewhere(name)}
    stdin = given.read_bytes() if isinstance(given, Path) else os.fsencode(given or "")
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=where,
            env={**inherited, **(environment or {})},
            input=stdin,
            capture_output=True,
            start_new_session=True,  # Ctrl-C is for us: half of what git does helps nobody
        )
    except FileNotFoundError:
        raise MissingProgram("git", "record which template a project came from") from None
    except OSError as error:  # no program, or one for another machine
        why = f"{shutil.which('git') or 'git'} cannot be started: {error.strerror}"
        raise GitFailed(" ".join(arguments), why) from None
    if result.returncode:
        raise GitFailed(" ".join(arguments), os.fsdecode(result.stderr))
    return os.fsdecode(result.stdout)


def own_file(name: str, where: Path) -> Path:
    """A file of git's own, `index`, in a repository with this folder."""
    return (where / git(["rev-parse", "--git-path", name], where).rstrip("\n")).resolve()


def quoted(path: str) -> str:
    """As git reads lines with a path: plain, or as in C where it has line breaks."""
    if not {"\n", "\r"} & {*path} and not path.startswith('"'):
        return path
    special = {"\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(special.get(each, each) for each in path) + '"'


def start(repository: Path, *options: str) -> None:
    """Make an empty repository of our own, for a while.

    Raises:
        GitFailed: also when git is some other program, which says nothing and does nothing.
    """
    repository.mkdir(parents=True, exist_ok=True)
    words = ["init", "--quiet", "--template=", *options]
    git(words, repository, ISOLATED)
    if not any((repository / place).is_file() for place in ("HEAD", ".git/HEAD")):
        why = f"{shutil.which('git')} made no repository, so it is not git"
        raise GitFailed(" ".join(words), why)


_CACHES = tuple(
    f":(exclude,glob)**/{name}/**"
    for name in ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
)


def tree_of(folder: Path, repository: Path) -> str:
    """Put all files of a folder but caches into a repository; the id of their tree."""
    objects = git(["rev-parse", "--absolute-git-dir"], repository, ISOLATED).strip()
    fresh = {**ISOLATED, "GIT_INDEX_FILE": str(repository / secrets.token_hex(8))}
    there = ["--git-dir", objects, "--work-tree", str(folder)]
    git([*there, "add", "--all", "--force", "--", ".", *_CACHES], folder, fresh)
    return git(["write-tree"], repository, fresh).strip()


def commit_of(tree: str, repository: Path, message: str, parents: Sequence[str] = ()) -> str:
    """Make a commit of a tree; the id."""
    words = [word for parent in parents for word in ("-p", parent)]
    return git(["commit-tree", tree, *words, "-m", message], repository, ISOLATED).strip()
