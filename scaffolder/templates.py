"""Where the template lives, and how Copier gets to see it.

Copier updates a project only when its template came from git. So every rendering reads the
template from a git repository made for the occasion, under a stable URL that git is told to
replace by that repository's path: the answers of a project name no folder of anybody's machine.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffolder import __version__
from scaffolder.errors import GitFailed, MissingProgram

URL = "https://rl-scaffolder.invalid/templates.git"
"""What answers files name. Never contacted: `.invalid` is reserved by RFC 2606."""
EPOCH = "2026-01-01T00:00:00+00:00"
"""Author and commit date, so that the same template gives the same commit."""

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Published:
    """A template in git that Copier can read."""

    url: str
    ref: str
    environment: Mapping[str, str]
    """Environment of every git call that is to see it."""


def root() -> Path:
    """The template's folder: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "templates"
    return checkout if (checkout / "copier.yml").is_file() else package / "_templates"


def overlays(template: Path) -> list[str]:
    """Names of the overlay folders, `{{name}}` on disk."""
    return sorted(
        folder.name[2:-2].strip()
        for folder in template.iterdir()
        if folder.is_dir() and folder.name.startswith("{{") and folder.name.endswith("}}")
    )


def publish(workdir: Path, extra_overlays: Mapping[str, Path] | None = None) -> Published:
    """Commit the template to a new git repository below `workdir`.

    Args:
        workdir: an existing folder that the caller removes.
        extra_overlays: overlay folders by name that other packages bring.

    Raises:
        MissingProgram: when git is not installed.
    """
    repository = workdir / "templates"
    shutil.copytree(root(), repository, ignore=_IGNORED)
    for name, folder in (extra_overlays or {}).items():
        shutil.copytree(folder, repository / f"{{{{{name}}}}}", ignore=_IGNORED)
    with (repository / "copier.yml").open("a", encoding="utf-8") as copier:
        copier.writelines(_overlay_answers(overlays(repository)))
    ref = f"v{__version__}"
    for command in (
        ["init", "--quiet", "--template="],
        ["add", "--all", "--force"],
        ["commit", "--quiet", "--message", f"Templates of rl-scaffolder {__version__}"],
        ["tag", ref],
    ):
        git(command, repository, _isolated())
    replacement = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
    }
    return Published(URL, ref, {**_isolated(), **replacement})


def _overlay_answers(names: Iterable[str]) -> Iterable[str]:
    """One computed answer an overlay: '.' merges its folder into the project, '' skips it."""
    for name in names:
        choice = f"{{{{ '.' if '{name}' in ['base', framework, topology, pattern] else '' }}}}"
        yield f'\n{name}:\n  type: str\n  default: "{choice}"\n  when: false\n'


def _isolated() -> dict[str, str]:
    """An environment in which the user's own git settings, hooks and identity do not matter."""
    return {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "rl-scaffolder",
        "GIT_AUTHOR_EMAIL": "templates@rl-scaffolder.invalid",
        "GIT_AUTHOR_DATE": EPOCH,
        "GIT_COMMITTER_NAME": "rl-scaffolder",
        "GIT_COMMITTER_EMAIL": "templates@rl-scaffolder.invalid",
        "GIT_COMMITTER_DATE": EPOCH,
    }


_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH")


def points_elsewhere(variable: str) -> bool:
    """Whether an environment variable could make git work on another repository or in another way.

    Hooks and wrappers set such variables; only who the user is and where the config lies matters.
    """
    return variable.startswith("GIT_") and not variable.startswith(_KEPT)


def git(arguments: list[str], where: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        MissingProgram: when git is not installed.
        GitFailed: with what git said.
    """
    inherited = {name: os.environ[name] for name in os.environ if not points_elsewhere(name)}
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=where,
            env={**inherited, **(environment or {})},
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise MissingProgram("git", "record which template a project came from") from None
    except subprocess.CalledProcessError as error:
        raise GitFailed(" ".join(arguments), error.stderr) from None
    return result.stdout
