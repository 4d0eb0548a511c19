"""A spec and a plan become a directory: whole, or not at all."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder import frameworks, library, templates
from scaffolder.errors import CannotWrite, GitFailed, TargetNotEmpty
from scaffolder.git import git, points_elsewhere
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec
from scaffolder.staging import folder_for, left_behind, move, one_interrupt, staging
from scaffolder.templates import Edition, Overlay, Published

_CHOOSING = ("framework", "topology", "pattern")
"""Answers that name overlays."""
FALLBACK_IDENTITY = {
    "GIT_AUTHOR_NAME": "rl-scaffolder",
    "GIT_AUTHOR_EMAIL": "new@rl-scaffolder.invalid",
    "GIT_COMMITTER_NAME": "rl-scaffolder",
    "GIT_COMMITTER_EMAIL": "new@rl-scaffolder.invalid",
}


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    files: list[str]
    """Paths relative to the project, sorted."""


def preview(spec: ProjectSpec, plan: Plan) -> list[str]:
    """The files that `create` would write."""
    folder = Path(tempfile.gettempdir())
    try:
        with one_interrupt(), staging(folder) as work:
            return whole(spec, plan, work).files
    except OSError as error:
        raise CannotWrite(folder, error) from error


def create(spec: ProjectSpec, plan: Plan, target: Path, *, commit: bool = True) -> Project:
    """Render beside the target (inside it, if it is there already), commit, and move into place.

    Raises:
        TargetNotEmpty: when the target holds anything, also when it does so only at the end.
        CannotWrite: when the file system refuses.
        GitFailed: when git refuses.
    """
    check_target(target)
    with one_interrupt() as finish:
        try:
            with folder_for(target) as folder, staging(folder) as work:
                rendered = whole(spec, plan, work)
                if commit and not _inside_repository(folder):
                    title = f"New project from rl-scaffolder ({spec.framework} {spec.algorithm})"
                    _first_commit(rendered.path, title)
                finish()
                move(rendered.path, target, work)
        except OSError as error:
            raise CannotWrite(target, error) from error
    return Project(target, rendered.files)


def check_target(target: Path) -> None:
    """Refuse a target that is not a new or empty directory; what a killed run left is nothing.

    Raises:
        TargetNotEmpty: when it holds anything or is no directory.
        CannotWrite: when it cannot be looked into.
    """
    try:
        occupied = target.exists() and (not target.is_dir() or _holds_anything(target))
    except OSError as error:
        raise CannotWrite(target, error) from error
    if occupied or target.is_symlink():
        raise TargetNotEmpty(target)


def _holds_anything(folder: Path) -> bool:
    left = set(left_behind(folder))
    return any(path not in left for path in folder.iterdir())


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
    from plumbum import ProcessExecutionError

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
    files = (str(path.relative_to(project)) for path in project.rglob("*") if not path.is_dir())
    return Project(project, sorted(files))


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


def _inside_repository(folder: Path) -> bool:
    """Also inside one of another user, of which git would otherwise say nothing."""
    question = ["-c", "safe.directory=*", "rev-parse", "--is-inside-work-tree"]
    try:
        return git(question, folder).strip() == "true"
    except GitFailed:
        return False


def _first_commit(project: Path, message: str) -> None:
    try:
        _commit(project, message)
    except GitFailed as error:
        error.remedy += " --no-git leaves out the project's first commit."
        raise


def _commit(project: Path, message: str) -> None:
    """One commit of every file as it is, under the user's name where git knows it."""
    plain = ("core.autocrlf=false", "core.safecrlf=false", "commit.gpgsign=false")
    nowhere = ("core.hooksPath", "core.excludesFile", "core.attributesFile")
    settings = [*plain, *(f"{name}={os.devnull}" for name in nowhere)]
    options = [word for setting in settings for word in ("-c", setting)]
    git(["init", "--quiet", "--initial-branch=main", "--template="], project)
    git([*options, "add", "--all"], project)
    identity = None if _has_identity(project) else FALLBACK_IDENTITY
    git([*options, "commit", "--quiet", "--message", message], project, identity)


def _has_identity(project: Path) -> bool:
    try:
        for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            git(["var", variable], project)
    except GitFailed:
        return False
    return True
