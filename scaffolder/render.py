"""A spec and a plan become a directory: whole, or not at all."""

import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from scaffolder import templates
from scaffolder.errors import CannotWrite, GitFailed, TargetNotEmpty
from scaffolder.frameworks import discover
from scaffolder.plan import Plan
from scaffolder.spec import ProjectSpec

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
        with _one_interrupt(), _staging(folder) as staging:
            return _render(spec, plan, staging)
    except OSError as error:
        raise CannotWrite(folder, error) from error


def create(spec: ProjectSpec, plan: Plan, target: Path, *, git: bool = True) -> Project:
    """Render beside the target (inside it, if it is there already), commit, and move into place.

    Raises:
        TargetNotEmpty: when the target holds anything, also when it does so only at the end.
        CannotWrite: when the file system refuses.
        GitFailed: when git refuses.
    """
    check_target(target)
    with _one_interrupt() as finish:
        try:
            with _folder_for(target) as folder, _staging(folder) as staging:
                files = _render(spec, plan, staging)
                project = staging / "project"
                if git and not _inside_repository(folder):
                    title = f"New project from rl-scaffolder ({spec.framework} {spec.algorithm})"
                    _commit(project, title)
                finish()
                _move(project, target, staging)
        except OSError as error:
            raise CannotWrite(target, error) from error
    return Project(target, files)


def check_target(target: Path) -> None:
    """Refuse a target that is not a new or empty directory.

    Raises:
        TargetNotEmpty: when it holds anything or is no directory.
        CannotWrite: when it cannot be looked into.
    """
    try:
        occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise CannotWrite(target, error) from error
    if occupied or target.is_symlink():
        raise TargetNotEmpty(target)


@contextmanager
def _folder_for(target: Path) -> Iterator[Path]:
    """Where to render: in the target, or in its parent; folders made on the way go on failure."""
    if target.is_dir():
        yield target
        return
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target.parent
    except BaseException:
        for folder in missing:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    staging = folder / f".rl-scaffolder-{secrets.token_hex(4)}"
    try:
        staging.mkdir(mode=0o700)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _one_interrupt() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C, SIGTERM and SIGHUP strike once at most, and not after the yielded call.

    A second one would strike while the first one's traces are removed; a late one while the
    finished project is moved into place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    heard: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield lambda: heard.append(0)
    except Exception:
        # A git that Ctrl-C struck too fails on its own account.
        if heard[:1] and heard[0] in signals:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _render(spec: ProjectSpec, plan: Plan, staging: Path) -> list[str]:
    """Let Copier render into `staging/project`."""
    import copier
    from plumbum import ProcessExecutionError

    framework = discover()[spec.framework]
    extra = {spec.framework: framework.overlay} if framework.overlay else {}
    published = templates.publish(staging, extra)
    project = staging / "project"
    try:
        with _copier_environment(published.environment, staging):
            copier.run_copy(
                published.url,
                project,
                data=_answers(spec, plan),
                vcs_ref=published.ref,
                defaults=True,
                quiet=True,
            )
    except ProcessExecutionError as error:
        raise GitFailed("clone", error.stderr) from error
    return sorted(
        str(path.relative_to(project)) for path in project.rglob("*") if not path.is_dir()
    )


@contextmanager
def _copier_environment(git_environment: Mapping[str, str], staging: Path) -> Iterator[None]:
    """Make Copier's git see the template, and keep all that Copier writes inside `staging`.

    Copier runs git through plumbum, which copied the environment when it was imported; the place
    of its cache it reads from the environment itself; and an interrupted clone is left behind in
    the temporary folder.
    """
    from plumbum import local

    name = "COPIER_CACHE_DIR"
    cache, temporary = os.environ.get(name), tempfile.tempdir
    os.environ[name] = str(staging / "cache")
    tempfile.tempdir = str(staging)
    try:
        with local.env(**git_environment):
            for variable in local.env.getdict():
                if templates.points_elsewhere(variable) and variable not in git_environment:
                    del local.env[variable]
            yield
    finally:
        tempfile.tempdir = temporary
        if cache is None:
            del os.environ[name]
        else:
            os.environ[name] = cache


def _answers(spec: ProjectSpec, plan: Plan) -> dict[str, Any]:
    return {**spec.model_dump(mode="json"), "plan": plan.model_dump(mode="json")}


def _inside_repository(folder: Path) -> bool:
    """Also inside one of another user, of which git would otherwise say nothing."""
    question = ["-c", "safe.directory=*", "rev-parse", "--is-inside-work-tree"]
    try:
        return templates.git(question, folder).strip() == "true"
    except GitFailed:
        return False


def _commit(project: Path, message: str) -> None:
    """One commit of every file as it is, under the user's name where git knows it."""
    plain = ("core.autocrlf=false", "core.safecrlf=false", "commit.gpgsign=false")
    nowhere = ("core.hooksPath", "core.excludesFile", "core.attributesFile")
    settings = [*plain, *(f"{name}={os.devnull}" for name in nowhere)]
    options = [word for setting in settings for word in ("-c", setting)]
    templates.git(["init", "--quiet", "--initial-branch=main", "--template="], project)
    templates.git([*options, "add", "--all"], project)
    identity = None if _has_identity(project) else FALLBACK_IDENTITY
    templates.git([*options, "commit", "--quiet", "--message", message], project, identity)


def _has_identity(project: Path) -> bool:
    try:
        for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            templates.git(["var", variable], project)
    except GitFailed:
        return False
    return True


def _move(project: Path, target: Path, staging: Path) -> None:
    """Rename into place; into an empty directory that is there already, entry by entry.

    Raises:
        TargetNotEmpty: when somebody else has put something there in the meantime.
    """
    if not target.exists():
        project.rename(target)
        return
    if set(target.iterdir()) != {staging}:
        raise TargetNotEmpty(target)
    moved: list[Path] = []
    try:
        for entry in sorted(project.iterdir()):
            entry.rename(target / entry.name)
            moved.append(target / entry.name)
    except BaseException:
        for entry in moved:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        raise
