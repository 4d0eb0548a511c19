"""A spec and a plan become a directory: whole, or not at all."""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder import adopting, committing, frameworks, library, templates
from scaffolder.errors import CannotWrite, GitFailed, MissingProgram, TargetNotEmpty
from scaffolder.git import points_elsewhere
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.staging import folder_for, left_behind, moved, one_interrupt, staging
from scaffolder.templates import Edition, Overlay, Published

_CHOOSING = ("framework", "topology", "pattern")
"""Answers that name overlays."""


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    files: list[str]
    """Paths relative to the project, sorted."""
    committed: bool = False
    left_alone: tuple[str, ...] = ()
    """Files of a clone that were there, and are as they were."""
    notes: tuple[str, ...] = ()
    """What its owner should know of that, a paragraph each."""


def preview(spec: ProjectSpec, plan: Plan, target: Path) -> Project:
    """What `create` would write."""
    folder = Path(tempfile.gettempdir())
    try:
        with one_interrupt(), staging(folder) as work:
            rendered = whole(spec, plan, work)
            there = adopting.found_in(target) or ()
            adopting.set_beside([rendered.path], there)
            return Project(target, _files(rendered.path), left_alone=there)
    except OSError as error:
        raise CannotWrite(folder, error) from error


def create(spec: ProjectSpec, plan: Plan, target: Path, *, commit: bool = True) -> Project:
    """Render beside the target (inside it, if it is there already), commit, and move into place.

    A fresh clone keeps what it has, and gets a commit on top.

    Raises:
        TargetNotEmpty: when the target holds more, also when it does so only at the end.
        CannotWrite: when the file system refuses.
        GitFailed: when git refuses.
    """
    check_target(target)
    with one_interrupt() as finish:
        try:
            there = adopting.found_in(target)
            with folder_for(target) as folder, staging(folder) as work:
                rendered = whole(spec, plan, work)
                title = f"New project from rl-scaffolder ({spec.framework} {spec.algorithm})"
                if there is not None:
                    return _adopt(rendered, target, work, there, title if commit else "", finish)
                above = committing.repository_above(folder) if commit else None
                if commit and not above:
                    committing.first(rendered.path, title)
                finish()
                with moved(rendered.path, target, work):
                    pass
        except OSError as error:
            raise CannotWrite(target, error) from error
    notes = (_uncommitted(above, target),) if above else ()
    return Project(target, rendered.files, committed=commit and not above, notes=notes)


def _adopt(
    rendered: Project,
    target: Path,
    work: Path,
    there: tuple[str, ...],
    title: str,
    finish: Callable[[], None],
) -> Project:
    """Move a project into a fresh clone, and commit it on top where there is a title for that."""
    adopting.set_beside([rendered.path], there)
    files = _files(rendered.path)
    finish()
    with moved(rendered.path, target, work, [".git", *there]):
        if title:
            committing.on_top(target, files, title)
    notes = tuple(adopting.notes(files, there))
    return Project(target, files, bool(title), there, notes)


def _uncommitted(above: Path, target: Path) -> str:
    words = shlex.join(["git", "add", str(target)])
    return (
        f"It lies in the git repository {above}, so no commit was made: `{words}`, then commit; "
        "`rl-scaffolder update` starts from what is committed."
    )


def check_target(target: Path) -> None:
    """Refuse a target that is no new or empty directory, nor a fresh clone; what a killed run left
    is nothing.

    Raises:
        TargetNotEmpty: when it holds anything or is no directory.
        CannotWrite: when it cannot be looked into.
    """
    try:
        occupied = target.exists() and not (target.is_dir() and _is_free(target))
    except OSError as error:
        raise CannotWrite(target, error) from error
    if occupied or target.is_symlink():
        raise TargetNotEmpty(target)


def _is_free(folder: Path) -> bool:
    left = set(left_behind(folder))
    return all(path in left for path in folder.iterdir()) or adopting.found_in(folder) is not None


def answers_of(spec: ProjectSpec, plan: Plan) -> dict[str, Any]:
    """What Copier is given, and saves."""
    return {**spec.model_dump(mode="json"), "plan": plan.model_dump(mode="json")}


def whole(spec: ProjectSpec, plan: Plan, work: Path) -> Project:
    """A new project, with the library in it."""
    rendered = render(answers_of(spec, plan), work)
    return Project(rendered.path, sorted([*rendered.files, library.put(rendered.path)]))


def render(answers: Mapping[str, Any], work: Path, edition: Edition | None = None) -> Project:
    """Let Copier render into `work/project`, without the library, which is no template's.

    Args:
        edition: of the templates; what stands there now, when absent.

    Raises:
        UnknownEdition: when the templates are not there any more.
        GitFailed: when git refuses.
    """
    import copier
    from plumbum import CommandNotFound, ProcessExecutionError

    published = publish(answers, work, edition)
    overlay = published.edition.overlay
    project = work / "project"
    try:
        with _copier_environment(published, work):
            copier.run_copy(
                published.url,
                project,
                data={**answers, **({"overlay_version": overlay} if overlay else {})},
                vcs_ref=published.ref,
                defaults=True,
                quiet=True,
            )
    except ProcessExecutionError as error:
        raise GitFailed("clone", error.stderr) from error
    except CommandNotFound as error:
        raise MissingProgram(error.program, "render a project") from error
    return Project(project, _files(project))


def _files(project: Path) -> list[str]:
    return sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())


def publish(answers: Mapping[str, Any], work: Path, edition: Edition | None = None) -> Published:
    """The template in git, with the overlay of the framework when a package brings one."""
    framework = str(answers["framework"])
    source = frameworks.get(framework).overlay_source
    chosen = frozenset(["base", *(str(answers[each]) for each in _CHOOSING)])
    overlay = Overlay(framework, source) if source else None
    return templates.publish(work, chosen, overlay, edition)


@contextmanager
def _copier_environment(published: Published, work: Path) -> Iterator[None]:
    """Make Copier's git see the template, and keep all that Copier writes inside `work`.

    Copier runs git through plumbum, which copied the environment when it was imported; the place
    of its cache it reads from the environment itself; and an interrupted clone is left behind in
    the temporary folder.
    """
    from plumbum import local

    name = "COPIER_CACHE_DIR"
    cache, temporary = os.environ.get(name), tempfile.tempdir
    os.environ[name] = str(work / "cache")
    tempfile.tempdir = str(work)
    try:
        with local.env(**published.environment):
            for variable in local.env.getdict():
                if points_elsewhere(variable) and variable not in published.environment:
                    del local.env[variable]
            yield
    finally:
        tempfile.tempdir = temporary
        if cache is None:
            del os.environ[name]
        else:
            os.environ[name] = cache
