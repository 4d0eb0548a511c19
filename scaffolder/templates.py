"""Where the template lives, and how Copier gets to see it.

Copier records which version a project came from only when the template is in git. So every
rendering reads it from a git repository made for the occasion, under a stable URL that git is told
to replace by that repository's path: the answers of a project name no folder of anybody's machine.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffolder import __version__
from scaffolder.git import ISOLATED, commit_of, git, start
from scaffolder.history import History, Source

URL = "https://rl-scaffolder.invalid/templates.git"
"""What answers files name. Never contacted: `.invalid` is reserved by RFC 2606."""


@dataclass(frozen=True)
class Edition:
    """Which templates a project was rendered from."""

    template: str
    """Version of the tool's own."""
    overlay: str | None = None
    """Version of those of the package that brings the framework, when one does."""

    def __str__(self) -> str:
        return self.template + (f" with {self.overlay}" if self.overlay else "")


@dataclass(frozen=True)
class Overlay:
    """Templates of a framework that another package brings."""

    name: str
    source: Source


@dataclass(frozen=True)
class Published:
    """A template in git that Copier can read."""

    edition: Edition
    url: str
    ref: str
    environment: Mapping[str, str]
    """Environment of every git call that is to see it."""


def root() -> Path:
    """The template's folder: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "templates"
    return checkout if (checkout / "copier.yml").is_file() else package / "_templates"


def source() -> Source:
    """Our template with its history, which `make release` writes."""
    return Source(root(), __version__, Path(__file__).resolve().parent / "templates.bundle")


def overlays(template: Path) -> list[str]:
    """Names of the overlay folders, `{{name}}` on disk."""
    return _overlays(folder.name for folder in template.iterdir() if folder.is_dir())


def _overlays(names: Iterable[str]) -> list[str]:
    braced = (name for name in names if name.startswith("{{") and name.endswith("}}"))
    return sorted(name[2:-2].strip() for name in braced)


def publish(
    workdir: Path,
    chosen: frozenset[str],
    overlay: Overlay | None = None,
    edition: Edition | None = None,
) -> Published:
    """Commit one edition of the template to a new git repository below `workdir`.

    Args:
        workdir: an existing folder that the caller removes.
        chosen: names of the overlays that the project has; Copier sees no others.
        overlay: that another package brings.
        edition: what stands there now, when absent.

    Raises:
        MissingProgram: when git is not installed.
        UnknownEdition: when a version is neither released nor what stands there.
    """
    repository = workdir / "templates"
    start(repository)
    ours = History(source(), repository, "ours")
    template = edition.template if edition else ours.edition
    parts = {"": ours.tree(template)}
    version = None
    if overlay:
        theirs = History(overlay.source, repository, "theirs")
        version = (edition.overlay if edition else None) or theirs.edition
        parts[f"{{{{{overlay.name}}}}}/"] = theirs.tree(version)
    whole = Edition(template, version)
    commit = commit_of(_compose(parts, chosen, repository), repository, f"Templates {whole}")
    git(["update-ref", "HEAD", commit], repository, ISOLATED)
    git(["tag", f"v{template}", commit], repository, ISOLATED)
    replacement = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
    }
    return Published(whole, URL, f"v{template}", {**ISOLATED, **replacement})


def _compose(parts: Mapping[str, str], chosen: frozenset[str], repository: Path) -> str:
    """One tree of several, each in its folder, with the answers that choose overlays added.

    Copier compiles each part of each path as a template, and asks git about each file: what other
    projects have is left out.
    """
    for folder, tree in parts.items():
        git(["read-tree", f"--prefix={folder}", tree], repository, ISOLATED)
    listed = git(["ls-files", "-z"], repository, ISOLATED).rstrip("\0").split("\0")
    there = frozenset(_overlays({name.partition("/")[0] for name in listed}))
    questions = git(["cat-file", "blob", ":copier.yml"], repository, ISOLATED)
    added = _overlay_answers(sorted(there & chosen))
    questions += "".join([*added, _OVERLAY_VERSION if len(parts) > 1 else ""])
    write = ["hash-object", "-w", "--stdin"]
    blob = git(write, repository, ISOLATED, given=questions).strip()
    lines = [f"100644 {blob}\tcopier.yml\0"]
    lines += [f"0 {'0' * len(blob)}\t{path}\0" for path in _of_others(listed, there - chosen)]
    git(["update-index", "-z", "--index-info"], repository, ISOLATED, given="".join(lines))
    return git(["write-tree"], repository, ISOLATED).strip()


def _of_others(paths: Iterable[str], others: frozenset[str]) -> Iterator[str]:
    """What belongs to overlays that were not chosen; 0.1.0 kept their partials in one folder."""
    for path in paths:
        first, _, rest = path.partition("/")
        partials = rest.partition("/")[0] if first == "_partials" else ""
        if partials in others or not others.isdisjoint(_overlays([first])):
            yield path


_OVERLAY_VERSION = "\noverlay_version:\n  type: str\n"


def _overlay_answers(names: Iterable[str]) -> Iterable[str]:
    """One computed answer an overlay: '.' merges its folder into the project, '' skips it.

    Released templates are rendered with it too, so that what it gives them may not change.
    """
    for name in names:
        choice = f"{{{{ '.' if '{name}' in ['base', framework, topology, pattern] else '' }}}}"
        yield f'\n{name}:\n  type: str\n  default: "{choice}"\n  when: false\n'
