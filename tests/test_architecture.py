"""Rooms, and who may enter which; the rules of the template."""

import ast
import io
import itertools
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, TEMPLATES
from scaffolder.frameworks import discover, names
from scaffolder.templates import overlays
from scaffolder.vocabulary import PATTERNS, TOPOLOGIES

PACKAGE = ROOT / "scaffolder"
ALL = {path.stem for path in PACKAGE.glob("*.py")} | {"check", "cli", "frameworks"}
MAY_IMPORT = {
    "vocabulary": set(),
    "errors": set(),
    "spec": {"errors", "explained", "vocabulary"},
    "shapes": {"machine"},
    "batches": {"numbers"},
    "memory": {"machine", "numbers", "shapes", "spec", "vocabulary"},
    "plan": {"memory", "vocabulary"},
    "trainer": {"memory", "plan", "vocabulary"},
    "details": {"batches", "plan", "spec", "trainer", "vocabulary"},
    "instead": {"errors"},
    "nearby": {"errors", "frameworks", "instead", "numbers", "plan", "spec", "vocabulary"},
    "planning": {
        "batches",
        "details",
        "errors",
        "instead",
        "library",
        "memory",
        "numbers",
        "plan",
        "spec",
        "trainer",
        "vocabulary",
    },
    "saved": {"errors", "library", "plan", "spec", "templates"},
    "project": {"errors", "library", "plan", "saved", "spec"},
    "meaning": {"project"},
    "yaml_lines": set(),
    "code": {"library", "project"},
    "machine": set(),
    "numbers": set(),
    "schema": set(),
    "library": {"vocabulary"},
    "git": {"errors"},
    "history": {"errors", "git"},
    "staging": {"errors"},
    "frameworks": {
        "code",
        "spec",
        "memory",
        "plan",
        "planning",
        "trainer",
        "project",
        "history",
        "machine",
        "meaning",
        "numbers",
        "schema",
        "errors",
        "vocabulary",
        "frameworks",
    },
    "forecast": {
        "errors",
        "frameworks",
        "library",
        "machine",
        "plan",
        "render",
        "spec",
        "staging",
    },
    "check": {
        "check",
        "code",
        "errors",
        "forecast",
        "frameworks",
        "git",
        "library",
        "machine",
        "numbers",
        "project",
        "schema",
        "spec",
        "templates",
        "vocabulary",
    },
    "templates": {"errors", "git", "history"},
    "criteria": {"errors", "frameworks", "vocabulary"},
    "candidates": {
        "criteria",
        "errors",
        "frameworks",
        "instead",
        "nearby",
        "plan",
        "spec",
        "vocabulary",
    },
    "compare": {"candidates", "criteria", "frameworks", "spec", "vocabulary"},
    "answers": {"library", "spec", "errors"},
    "uses": {"frameworks", "library", "vocabulary"},
    "rollouts": {"errors", "frameworks", "library", "machine", "spec", "uses", "vocabulary"},
    "explained": set(),
    "conversation": {"explained"},
    "resolving": {"answers", "errors", "frameworks", "nearby", "plan", "render", "spec"},
    "detail_page": {
        "answers",
        "conversation",
        "errors",
        "explained",
        "resolving",
        "spec",
        "vocabulary",
    },
    "wizard": {
        "answers",
        "conversation",
        "detail_page",
        "errors",
        "explained",
        "frameworks",
        "resolving",
        "rollouts",
        "spec",
        "vocabulary",
    },
    "choosing": {
        "answers",
        "conversation",
        "explained",
        "frameworks",
        "vocabulary",
        "wizard",
    },
    "adopting": {"staging"},
    "committing": {"errors", "git"},
    "render": {
        "adopting",
        "committing",
        "frameworks",
        "git",
        "library",
        "plan",
        "spec",
        "staging",
        "errors",
        "templates",
    },
    "moved": {"git", "library"},
    "carrying": {
        "check",
        "errors",
        "frameworks",
        "plan",
        "project",
        "saved",
        "spec",
        "yaml_lines",
    },
    "index": {"git"},
    "taking_back": {"git", "index"},
    "repository": {"errors", "git", "index", "saved", "taking_back"},
    "taking_over": {"errors", "git", "index", "repository", "taking_back"},
    "merging": {"errors", "git", "index", "library", "moved", "repository", "saved"},
    "update": {
        "adopting",
        "carrying",
        "errors",
        "frameworks",
        "library",
        "merging",
        "moved",
        "plan",
        "render",
        "repository",
        "saved",
        "spec",
        "staging",
        "taking_over",
        "templates",
    },
    "cli": ALL,
    "__main__": {"cli"},
}
HEAVY = {"torch", "transformers", "trl", "verl", "ray", "vllm", "datasets", "accelerate"}


def imports(file: Path, *, top_level: bool) -> Iterator[str]:
    """Dotted names that a file imports; with `top_level` only those outside functions."""
    tree = ast.parse(file.read_text("utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if top_level and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_rooms_import_only_what_they_may(file: Path) -> None:
    if file == PACKAGE / "__init__.py":
        assert not list(imports(file, top_level=False))
        return
    for name in imports(file, top_level=False):
        parts = name.split(".")
        if parts[0] == "scaffolder" and parts[1] != "__version__":
            assert parts[1] in MAY_IMPORT[room(file)], name
        if parts[:2] == ["scaffolder", "frameworks"] and {*parts[2:3]} & {*names()}:
            assert file.parent == PACKAGE / "frameworks" / parts[2], "a framework is imported"
        assert parts[0] not in HEAVY, name
        assert parts[0] != "copier" or file.stem == "render"
        assert parts[0] != "questionary" or file.stem in {"conversation", "choosing"}
        assert parts[0] != "rich" or room(file) == "cli"
    assert not {"copier", "questionary", "rich"} & set(imports(file, top_level=True))


# `python -m scaffolder.history` and `.library` are commands of releases and builds.
PRINTING = {"cli", "__main__", "history", "library"}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_only_commands_print(file: Path) -> None:
    calls = (
        node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)
    )
    printed = [
        each.lineno for each in calls if isinstance(each.func, ast.Name) and each.func.id == "print"
    ]
    assert room(file) in PRINTING or not printed


def template_files(*suffixes: str) -> list[Path]:
    return sorted(path for path in TEMPLATES.rglob("*") if path.suffix in suffixes)


@pytest.mark.parametrize("file", template_files(".jinja"), ids=lambda path: path.name)
def test_templates_read_like_the_file_they_make(file: Path) -> None:
    text = file.read_text("utf-8")
    statements = [word for word in re.findall(r"{%-?\s*(\w+)", text) if not word.startswith("end")]
    assert len(statements) <= max(3, 5 * len(text.splitlines()) / 100)
    assert "framework ==" not in text


def test_python_in_the_template_is_plain() -> None:
    assert not [path for path in template_files(".jinja") if path.name.endswith(".py.jinja")]


def test_the_template_needs_no_trust() -> None:
    config = yaml.safe_load((TEMPLATES / "copier.yml").read_text("utf-8"))
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & set(config)
    assert config["_envops"]["undefined"] == "jinja2.StrictUndefined"


def test_no_overlay_replaces_a_file_of_another() -> None:
    """Of overlays that can be rendered together: two frameworks never are."""
    present = set(overlays(TEMPLATES))
    kinds = [("base",), FRAMEWORKS, TOPOLOGIES, PATTERNS]
    assert present <= {name for kind in kinds for name in kind}
    for left, right in itertools.combinations(kinds, 2):
        for one, other in itertools.product(present & set(left), present & set(right)):
            shared = rendered_names(one) & rendered_names(other)
            assert not shared, f"{one} and {other} both bring {shared}"


def test_an_overlay_includes_its_own_partials_only() -> None:
    """So a package can bring all that a framework is; the README asks each for its part."""
    assert {path.parent.parent for path in TEMPLATES.rglob("_partials")} == {TEMPLATES}
    for file in template_files(".jinja"):
        overlay = file.relative_to(TEMPLATES).parts[0]
        statements = re.findall(r"{% (?:include|from) (.*?) %}", file.read_text("utf-8"))
        for statement in statements:
            theirs = statement.startswith('"{{" ~ framework ~ "}}/_partials/readme.md.jinja"')
            assert theirs or statement.startswith(f'"{overlay}/_partials/'), (file, statement)


FRAMEWORKS = {
    *discover(),
    *(path.stem for path in (ROOT / "runtime/rl_rollouts/frameworks").glob("[!_]*.py")),
}
"""Those of which only the data preparation is there have no adapter yet."""


def rendered_names(overlay: str) -> set[str]:
    folder = TEMPLATES / f"{{{{{overlay}}}}}"
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    skipped = {"__pycache__", "_partials"}
    return {str(path).removesuffix(".jinja") for path in files if not skipped & {*path.parts}}


def shared_files() -> Iterator[Path]:
    """What must not know one framework from another: tool, library and template without theirs."""
    library = ROOT / "runtime" / "rl_rollouts"
    rooms = [PACKAGE, library, *(TEMPLATES / f"{{{{{each}}}}}" for each in ("base", *TOPOLOGIES))]
    own = [PACKAGE / "frameworks" / name for name in FRAMEWORKS]
    own += [library / "frameworks" / f"{name}{end}" for name in FRAMEWORKS for end in ("", ".py")]
    files = [TEMPLATES / "copier.yml", *(path for each in rooms for path in each.rglob("*"))]
    for file in files:
        read = file.suffix in {".py", ".jinja", ".yml", ".json", ".css"}
        if read and not any(file.is_relative_to(each) for each in own):
            yield file


def test_no_shared_file_names_a_framework() -> None:
    titles = {discover()[name].title if name in discover() else name for name in FRAMEWORKS}
    words = {*FRAMEWORKS, *titles, *(name.replace("_", "-") for name in FRAMEWORKS)}
    named = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, words))})(?![a-z])", re.IGNORECASE)
    files = list(shared_files())
    assert {"wizard", "export", "README.md"} <= {file.stem for file in files}
    found = {
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if named.search(line)
    }
    assert not found


def test_files_stay_small() -> None:
    files = [*PACKAGE.rglob("*.py"), *TEMPLATES.rglob("*.py")]
    long = {str(path): len(path.read_text("utf-8").splitlines()) for path in files}
    assert max(long.values()) <= 260, max(long, key=lambda name: long[name])


def test_the_custom_trainer_is_read_in_an_hour() -> None:
    """Lines of code, without blank ones, comments and docstrings."""
    trainer = list((TEMPLATES / "{{custom}}").glob("*custom*.py"))
    trainer.remove(TEMPLATES / "{{custom}}" / "prepare_for_custom.py")
    assert len(trainer) > 5
    assert sum(len(code_lines(path.read_text("utf-8"))) for path in trainer) <= 900


def code_lines(text: str) -> set[int]:
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped | {tokenize.ENDMARKER}:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return lines


def test_nothing_committed_names_this_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    files = [ROOT / name for name in listed if name] or [*PACKAGE.rglob("*.py")]
    home = f"{Path.home()}/"
    for file in files:
        if file.is_file():
            assert home not in file.read_text("utf-8", errors="replace"), file


def test_importing_the_tool_is_light() -> None:
    heavy = HEAVY | {"copier", "pydantic"}
    script = f"import sys, scaffolder.cli; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert printed.stdout == "[]\n"
