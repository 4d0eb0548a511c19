"""OpenRLHF's own argument parsers, which stand at the end of its commands and cannot be imported.

Of a command's file only the part under `if __name__ == "__main__"` is run, up to where it would
train: the parser, and what it asserts of the arguments. Abbreviations are refused.
"""

import argparse
import ast
import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from ...errors import UserError


class Parser(argparse.ArgumentParser):
    """As theirs, without abbreviations, and with words in place of an exit."""

    made: "Parser"

    def __init__(self) -> None:
        super().__init__(allow_abbrev=False, add_help=False)
        Parser.made = self

    def error(self, message: str) -> NoReturn:
        raise UserError(f"OpenRLHF does not accept the config: {message}.", "Mend that key.")


def folder() -> Path:
    """Where OpenRLHF is installed; it is not imported."""
    found = importlib.util.find_spec("openrlhf")
    if found is None or not found.submodule_search_locations:
        raise UserError(
            "OpenRLHF is not installed here.",
            "Run `make install`, or work in the container (see README.md).",
        )
    return Path(found.submodule_search_locations[0])


@cache
def _block(module: str) -> Any:
    """The end of a command's file, compiled, with its import of `hierarchize` taken out."""
    tree = ast.parse((folder() / "cli" / f"{module}.py").read_text("utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.If))
    body = [each for each in found.body if not isinstance(each, ast.ImportFrom)]
    return compile(ast.Module(body=body, type_ignores=[]), f"{module}.py", "exec")


@cache
def _hierarchize() -> Any:
    found = importlib.util.spec_from_file_location("_hierarchy", folder() / "utils" / "config.py")
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made.hierarchize


def parse(module: str, words: Sequence[str]) -> Any:
    """The arguments of a command as its trainer gets them: `arguments.ds.zero_stage`.

    Args:
        module: of `openrlhf.cli`.

    Raises:
        UserError: when its parser or its assertions refuse them.
    """
    kept: list[Any] = []
    names = {
        "__name__": "__main__",
        "argparse": SimpleNamespace(ArgumentParser=Parser),
        "datetime": datetime,
        "os": os,
        "hierarchize": _hierarchize(),
        "train": kept.append,
    }
    before, sys.argv = sys.argv, [module, *words]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(_block(module), names)
    except UserError:
        raise
    except Exception as error:  # It calculates with whatever it is given.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"OpenRLHF does not accept the config: {reason}", "Mend it.") from None
    finally:
        sys.argv = before
    return kept[0]


@cache
def flags(module: str) -> frozenset[str]:
    """All flags of a command, without the dashes in front."""
    with contextlib.suppress(UserError):
        parse(module, ["--none"])
    return frozenset(
        word.removeprefix("--") for word in Parser.made._option_string_actions if word[:2] == "--"
    )
