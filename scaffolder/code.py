"""Code that a config names, looked for without importing it: a file, and a name in it."""

import ast
import difflib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from scaffolder import library
from scaffolder.project import read_text

Function = ast.FunctionDef | ast.AsyncFunctionDef


def problem_of(folder: Path, name: str, default: str = "", arguments: int = 0) -> str | None:
    """Why `module:attribute` is not there, seen from a project; None where it is, or may be.

    Args:
        default: the attribute of a name without one.
        arguments: how many a function has to take.
    """
    module, _, attribute = name.partition(":")
    module = module.removesuffix(".py").replace("/", ".")
    if not module or not (attribute or default):
        return f"{name!r} is not of the form module:name"
    source = _source(folder, module)
    if source is None:
        return None if _may_be_installed(folder, module) else _no_module(folder, module)
    return problem_in(source, f"{module}.py", attribute or default, arguments)


def problem_in(source: str, file: str, attribute: str, arguments: int = 0) -> str | None:
    """Why a name is not in a module's text."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        beside = file.count(".") == 1 and "/" not in file  # `check/rendered.py` says it of these
        return None if beside else f"{file} is no Python: {error}"
    names = dict(_names(tree))
    if "*" in names:
        return None
    if attribute not in names:
        near = difflib.get_close_matches(attribute, names, n=1)
        return f"{file} has no {attribute}" + (f"; did you mean {near[0]}?" if near else "")
    node = names[attribute]
    if arguments and isinstance(node, Function):
        return _misfit(node, f"{attribute} in {file}", arguments)
    return None


REWARD = ("prompt", "response", "ground_truth", "metadata")
"""What a reward is called with, in this order."""


def _misfit(node: Function, name: str, arguments: int) -> str | None:
    """Why a function cannot be called with so many arguments, and for a number."""
    if isinstance(node, ast.AsyncFunctionDef):
        return f"{name} is async, and is called without await"
    if not _takes(node, arguments):
        return f"{name} does not take {arguments} arguments"
    given = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    if given != list(REWARD) and sorted(given) == sorted(REWARD):
        return f"{name} is called with {', '.join(REWARD)}, and takes them in another order"
    if not any(isinstance(each, ast.Return) and each.value for each in _own(node)):
        return f"{name} returns nothing"
    return None


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What a function holds, without the functions in it."""
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, Function | ast.ClassDef | ast.Lambda):
            yield each
            yield from _own(each)


def _source(folder: Path, module: str) -> str | None:
    """The text of a module of the project, or of the library that comes with it."""
    path = folder / module.replace(".", "/")
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            try:
                return read_text(file)
            except (OSError, ValueError):
                return None
    if module.partition(".")[0] != library.NAME:
        return None
    library.load("errors")
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return found.loader.get_source(module) if found else None  # type: ignore[union-attr]


def _may_be_installed(folder: Path, module: str) -> bool:
    """In the project's environment, or in Python itself."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    sites = list(folder.glob(".venv/lib/python*/site-packages"))
    return any(any(site.glob(pattern)) for site in sites for pattern in (top, f"{top}.*"))


def _no_module(folder: Path, module: str) -> str:
    near = difflib.get_close_matches(module, sorted(path.stem for path in folder.glob("*.py")), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no {module.replace('.', '/')}.py here, and no such package in .venv{hint}"


def _names(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a module defines at its top level, also under `if` and `try`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((each.asname or each.name.partition(".")[0], node) for each in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = (each for target in targets for each in ast.walk(target))
            yield from ((each.id, node) for each in named if isinstance(each, ast.Name))
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _names(node)


def _takes(node: Function, count: int) -> bool:
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    needed = len(positional) - len(given.defaults)
    keywords = [default for default in given.kw_defaults if default is None]
    return (
        needed <= count and (count <= len(positional) or given.vararg is not None) and not keywords
    )
