"""A spec and a plan become a directory: whole, or not at all."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from scaffolder import templates
from scaffolder.errors import CannotWrite, TargetNotEmpty
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
    with _one_interrupt(), _staging(Path(tempfile.gettempdir()), "preview") as staging:
        return _render(spec, plan, staging)


def create(spec: ProjectSpec, plan: Plan, target: Path, *, git: bool = True) -> Project:
    """Render beside the target, commit, and move into place.

    Raises:
        TargetNotEmpty: when the target holds anything.
        CannotWrite: when the file system refuses.
    """
    check_target(target)
    with _one_interrupt() as finish:
        try:
            with _parent_of(target) as parent, _staging(parent, target.name) as staging:
                files = _render(spec, plan, staging)
                project = staging / "project"
                if git and not _inside_repository(parent):
                    title = f"New project from rl-scaffolder ({spec.framework} {spec.algorithm})"
                    _commit(project, title)
                finish()
                _move(project, target)
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
def _parent_of(target: Path) -> Iterator[Path]:
    """The folder that is to hold the target; folders made on the way go again on failure."""
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
def _staging(parent: Path, name: str) -> Iterator[Path]:
    staging = parent / f".{name}.rl-scaffolder-{secrets.token_hex(4)}"
    try:
        staging.mkdir(mode=0o700)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _one_interrupt() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C and SIGTERM strike once at most, and not at all after the yielded call.

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

    signals = (signal.SIGINT, signal.SIGTERM)
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

    framework = discover()[spec.framework]
    extra = {spec.framework: framework.overlay} if framework.overlay else {}
    published = templates.publish(staging, extra)
    project = staging / "project"
    with _copier_environment(published.environment, staging):
        copier.run_copy(
            published.url,
            project,
            data=_answers(spec, plan),
            vcs_ref=published.ref,
            defaults=True,
            quiet=True,
        )
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
    try:
        return templates.git(["rev-parse", "--is-inside-work-tree"], folder).strip() == "true"
    except subprocess.CalledProcessError:
        return False


def _commit(project: Path, message: str) -> None:
    """One commit, under the user's name where git knows it."""
    templates.git(["init", "--quiet", "--initial-branch=main"], project)
    templates.git(["add", "--all"], project)
    try:
        templates.git(["var", "GIT_COMMITTER_IDENT"], project)
        identity = None
    except subprocess.CalledProcessError:
        identity = FALLBACK_IDENTITY
    unsigned = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=" + os.devnull]
    templates.git([*unsigned, "commit", "--quiet", "--message", message], project, identity)


def _move(project: Path, target: Path) -> None:
    """Rename into place; into an empty directory that is there already, entry by entry."""
    if not target.exists():
        project.rename(target)
        return
    moved: list[Path] = []
    try:
        for entry in sorted(project.iterdir()):
            moved.append(target / entry.name)
            entry.rename(moved[-1])
    except BaseException:
        for entry in moved:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        raise
