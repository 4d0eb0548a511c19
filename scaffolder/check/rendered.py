"""Files of the project that are gone, that hold a merge nobody finished, or that are no Python.

A project is short because its owner removes what is not needed: missed is what something that is
there names, and what git still has.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scaffolder import templates
from scaffolder.check.script import names as scripts
from scaffolder.errors import UserError
from scaffolder.git import git
from scaffolder.project import MERGE, Finding, Project, conflicted, read_text

MAKEFILE = "Makefile"
ALWAYS = (MAKEFILE,)
"""What `make` and evaluation begin with; nothing in the project need name it."""
NAMED = re.compile(r"(?<![\w./$}*-])(?:\./)?([\w-][\w./-]*\.(?:py|sh|yaml|jsonl))(?![\w*])")
IMPORTED = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)[ \t]+import|import[ \t]+(\w+))", re.M)
LOOKED_INTO = {".py", ".yaml", ".yml", ".sh", ".toml", ".md", ".json", ".example", ""}
LARGEST = 1_000_000
"""Bytes of a file that is looked into: the project's own are far smaller."""
FOLDERS = ("*", "launch/*", "tests/*")
BRING_BACK = "Bring it back from git."


def check(project: Project) -> Iterator[Finding]:
    gone, unmerged = _git(project.path)
    texts = dict(_texts(project.path))
    in_conflict = {name: line for name, text in texts.items() if (line := conflicted(text))}
    for name, line in in_conflict.items():
        yield Finding("error", MERGE.problem, MERGE.remedy, name, line)
    for name in sorted(unmerged - in_conflict.keys()):
        problem = "git has both sides of it: a merge is not finished"
        yield Finding("error", problem, "Take what you want of both, then `git add` it.", name)
    yield from _missing(project, texts, gone - unmerged)
    for name, text in texts.items():
        if name.endswith(".py") and name not in in_conflict:
            yield from _syntax(name, text)


def _git(folder: Path) -> tuple[set[str], set[str]]:
    """Files that git has and the folder has not, and those with several sides."""
    words = ["ls-files", "-t", "-z", "--deleted", "--unmerged"]
    try:
        listed = git(words, folder).rstrip("\0").split("\0")
    except UserError:  # no git, or no repository
        return set(), set()
    entries = [entry.partition("\t") for entry in listed if entry]
    gone = {path for head, _, path in entries if head.startswith("R")}
    return gone, {path for head, _, path in entries if head.startswith("M")}


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(path for each in FOLDERS for path in folder.glob(each)):
        fitting = path.suffix in LOOKED_INTO or path.name == MAKEFILE
        try:
            if fitting and path.is_file() and path.stat().st_size <= LARGEST:
                yield path.relative_to(folder).as_posix(), read_text(path)
        except (OSError, ValueError):
            continue


def _missing(project: Project, texts: dict[str, str], gone: set[str]) -> Iterator[Finding]:
    """Those that configs and launch scripts miss are said there."""
    launch = [name for each in scripts(project) for _, name in _named(texts.get(each, ""))]
    said = {*scripts(project), *launch, *(each.file for each in project.configs), "rewards.py"}
    known = (_rendered() | gone) - said
    wanted = {name: f"{MAKEFILE}:{line}" for line, name in _named(texts.get(MAKEFILE, ""))}
    wanted |= {f"{name}.py": place for name, place in _imported(texts)}
    needed = dict.fromkeys(ALWAYS, "") | {name: wanted[name] for name in wanted if name in known}
    for name, place in needed.items():
        if not (project.path / name).exists():
            why = f"is not there, and {place} names it" if place else "is not there"
            yield Finding("error", why, BRING_BACK, name)
    for name in sorted(gone - needed.keys() - said):
        if (project.path / name).suffix != ".whl":
            problem = "git has it, and it is not there"
            remedy = "`git restore` brings it back; `git rm` says that you do without it."
            yield Finding("warning", problem, remedy, name)


@cache
def _rendered() -> frozenset[str]:
    """Names that files of projects have, of any framework."""
    paths = (path.relative_to(templates.root()).parts for path in templates.root().rglob("*.*"))
    plain = ("/".join(part for part in parts if "{{" not in part) for parts in paths)
    return frozenset(name.removesuffix(".jinja") for name in plain if "_partials" not in name)


def _named(text: str) -> Iterator[tuple[int, str]]:
    """What commands of a Makefile name, line by line."""
    for number, line in enumerate(text.splitlines(), start=1):
        code = re.sub(r"(^|\s)#.*$", "", line)
        yield from ((number, name) for name in NAMED.findall(code))


def _imported(texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    for file, text in texts.items():
        if file.endswith(".py"):
            for found in IMPORTED.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                yield found[1] or found[2], f"{file}:{line}"


def _syntax(name: str, text: str) -> Iterator[Finding]:
    try:
        ast.parse(text)
    except SyntaxError as error:
        yield Finding("error", f"is no Python: {error.msg}", "Mend it.", name, error.lineno)
    except ValueError as error:
        yield Finding("error", f"is no Python: {error}", "Mend it.", name)
