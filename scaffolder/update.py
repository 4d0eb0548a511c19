"""A project takes over newer templates, or other answers, and keeps its owner's edits.

Both templates are rendered again, the one it came from with the answers it has, and the newest with
the answers it is to have. What lies between the first and the project are its owner's edits. Git
merges the three, in a repository of our own, so that the project is only touched when all is done.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder import library, project, render
from scaffolder.errors import CannotWrite, NoProject
from scaffolder.merging import Change, Merge, Repository
from scaffolder.moved import Moved
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.staging import one_interrupt, staging
from scaffolder.templates import Edition


@dataclass(frozen=True)
class LibraryChange:
    """Which library a project had, and has."""

    before: tuple[str, ...]
    """Versions; usually one."""
    after: str
    own: bool
    """Whether an unpacked one (`make own`) lies in the project, and comes before it."""

    @property
    def changed(self) -> bool:
        return self.before != (self.after,)


@dataclass(frozen=True)
class Update:
    """What an update did, or would do."""

    before: Edition
    after: Edition
    changes: tuple[Change, ...]
    """By kind and path; none when the project is what it would become."""
    diff: str
    """Of all files, as git shows it."""
    library: "LibraryChange"
    moved: Moved
    """What the library has now of what was the project's."""

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
    theirs = Repository(path)
    folder = Path(tempfile.gettempdir())
    with one_interrupt() as finish:
        try:
            with staging(folder) as work:
                old = render.render(_choices(answers), _folder(work / "old"), before)
                new = render.render(render.answers_of(spec, plan), _folder(work / "new"))
                merge = Merge(theirs, old.path, new.path, work)
                after = edition_of(path, project.read_answers(new.path))
                same_framework = answers["framework"] == spec.framework
                merged = merge.run(str(after), follow_renames=same_framework)
                if merged.changes and not dry_run:
                    finish()
                    theirs.take_over(merge, merged)
        except OSError as error:
            raise CannotWrite(folder, error) from error
    versions = tuple(map(library.version, merged.wheels))
    own = (path / library.NAME).is_dir()
    change = LibraryChange(versions, library.version(library.path()), own)
    return Update(before, after, merged.changes, merged.diff, change, merged.moved)


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
