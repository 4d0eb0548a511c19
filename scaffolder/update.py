"""A project takes over newer templates, or other answers, and keeps its owner's edits.

Both templates are rendered again, the one it came from with the answers it has, and the newest with
the answers it is to have. What lies between the first and the project are its owner's edits. Git
merges the three, in a repository of our own, so that the project is only touched when all is done.
"""

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from scaffolder import adopting, frameworks, library, render
from scaffolder.carrying import Carried, Carrying
from scaffolder.carrying import find as find_edits
from scaffolder.errors import CannotWrite, DamagedAnswers, UserError
from scaffolder.merging import Change, Merge, changes
from scaffolder.moved import Moved
from scaffolder.plan import Plan
from scaffolder.repository import Repository
from scaffolder.saved import ANSWERS, Saved, edition_of, read_answers
from scaffolder.spec import ProjectSpec
from scaffolder.staging import one_interrupt, staging
from scaffolder.taking_over import take_over
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

    carried: tuple[Carried, ...] = ()
    """Edits of the config of another framework, and where they are now."""
    take_back: str = ""
    """The line for a shell in the project, where something was changed."""

    @property
    def conflicts(self) -> list[str]:
        return [change.path for change in self.changes if change.kind == "conflict"]


def update(
    saved: Saved,
    spec: ProjectSpec,
    plan: Plan,
    *,
    given: Collection[str] = (),
    dry_run: bool = False,
) -> Update:
    """Merge what the newest templates make of a spec into a project.

    Args:
        given: names of answers that are new, and win over what the owner wrote into a config.

    Changes are staged, not committed. Of a conflict both sides stand in the file, as after a merge.

    Raises:
        NotCommitted: when the project is not in git as it stands.
        UnknownEdition: when its templates are not in the history.
        DamagedAnswers: when they cannot render the project as it was.
        InTheWay: when a file that git does not know would be overwritten.
    """
    path = saved.path
    theirs = Repository(path)
    folder = Path(tempfile.gettempdir())
    line = ""
    with one_interrupt() as finish:
        try:
            with staging(folder) as work:
                old = _as_it_was(saved, _folder(work / "old"))
                same_framework = saved.spec.framework == spec.framework
                carrying = Carrying(spec, plan)
                if not same_framework:
                    carrying = find_edits(saved, old, spec, plan, given)
                answers = render.answers_of(carrying.spec, carrying.plan)
                new = render.render(answers, _folder(work / "new"))
                adopting.set_beside([old, new.path], adopting.were_there(path))
                carried = carrying.write(new.path)
                merge = Merge(theirs, old, new.path, work)
                after = edition_of(path, read_answers(new.path))
                merged = merge.run(str(after), same_framework=same_framework)
                files = theirs.look(merged.files)
                if files and not dry_run:
                    finish()
                    line = take_over(theirs, files, merge.packed(merged.commit), work)
        except OSError as error:
            raise CannotWrite(folder, error) from error
    versions = tuple(map(library.version, merged.wheels))
    own = (path / library.NAME).is_dir()
    found = LibraryChange(versions, library.version(library.path()), own)
    changed = tuple(changes(files, merged.edited))
    return Update(saved.edition, after, changed, merged.diff, found, merged.moved, carried, line)


def _as_it_was(saved: Saved, work: Path) -> Path:
    """The project as its own templates render it, from the answers that it has."""
    from jinja2 import TemplateError

    try:
        return render.render(saved.choices, work, saved.edition).path
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        reasons = list(_damaged(saved)) or [f"plan: {error}"]
        raise DamagedAnswers(saved.path / ANSWERS, reasons) from error


def _damaged(saved: Saved) -> Iterator[str]:
    """What of a plan is not as it would be planned now, where only templates know its values."""
    try:
        planned = frameworks.resolve(saved.spec).plan(saved.spec)
    except UserError:
        return
    for place, now, was in (
        ("plan", planned.model_dump(), saved.plan.model_dump()),
        ("plan.settings", planned.settings, saved.plan.settings),
    ):
        for name, value in now.items():
            there = was.get(name)
            if there is None and value is not None:
                yield f"{place}.{name}: is missing"
            elif type(there) is not type(value):
                yield f"{place}.{name} = {there!r}: is of another type"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
