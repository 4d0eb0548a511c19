"""The line that takes an update back: commands of git for exactly the files that it changed.

It is written down before anything is changed, so that it can be said after a kill too.
"""

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from scaffolder.git import git, own_file, quoted
from scaffolder.index import File, lines

RECORD = "rl-scaffolder-update"
"""File in git's folder with the paths; beside it one of the same name with all that is known."""


def record(files: Sequence[File], project: Path, prefix: str) -> str:
    """Write down what an update is about to do; returns the line, for a shell in the project.

    Args:
        prefix: of the project in its repository.
    """
    paths = own_file(RECORD, project)
    restored = [each for each in files if not _apart(each)]
    named = (quoted(f":(top,literal){prefix}{each.path}") + "\n" for each in restored)
    paths.write_bytes(os.fsencode("".join(named)))
    line = _line(files, os.path.relpath(paths, project) if restored else "")
    known = {"head": _head(project), "index": [*lines(files, prefix)], "line": line}
    _beside(paths).write_text(json.dumps(known), "utf-8")
    return line


def _apart(file: File) -> bool:
    """Git cannot restore a conflict that the last commit knows nothing of, nor may it what lies
    there and is not in git."""
    return file.kept or bool(file.sides and not file.before)


def _line(files: Sequence[File], paths: str) -> str:
    kept = [each.path for each in files if each.kept]
    apart = [each.path for each in files if _apart(each) and not each.kept]
    remove = "git --literal-pathspecs rm -fq"
    commands = [f"{remove} -- {shlex.join(apart)}"] if apart else []
    commands += [f"{remove} --cached -- {shlex.join(kept)}"] if kept else []
    restore = "git restore --source=HEAD --staged --worktree --pathspec-from-file="
    return " && ".join([*commands, *([restore + shlex.quote(paths)] if paths else [])])


def last(project: Path) -> str | None:
    """The line of an update that nothing was done about since; also of one that was killed."""
    try:
        known = json.loads(_beside(own_file(RECORD, project)).read_text("utf-8"))
        there = git(["ls-files", "--stage", "-z", "--", ":/"], project).split("\0")
        untouched = set(known["index"]) <= set(there) and known["head"] == _head(project)
        return str(known["line"]) if untouched else None
    except (OSError, ValueError, KeyError):
        return None


def _beside(paths: Path) -> Path:
    return paths.with_suffix(".json")


def _head(project: Path) -> str:
    return git(["rev-parse", "HEAD"], project).strip()
