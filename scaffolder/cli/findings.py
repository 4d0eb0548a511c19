"""How findings are printed: for people and editors, for scripts, GitHub Actions and code scanning.

Paths are those seen from where the user stands, which is what editors open; in JSON they are the
project's own.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scaffolder.cli.output import print_json

if TYPE_CHECKING:
    from scaffolder.project import Finding

GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def show(found: "Sequence[Finding]", folder: Path) -> None:
    """`file:line: weight: problem`, and the remedy below it, indented as compilers have notes."""
    for finding in found:
        place = ":".join(str(each) for each in (_path(finding, folder), finding.line) if each)
        _say(f"{place}: {finding.weight}: {finding.problem}" if place else _bare(finding))
        _say(f"    {finding.remedy}")
    errors = sum(finding.weight == "error" for finding in found)
    print(f"{errors} error(s)." if errors else "Nothing that would stop it was found.")


def _bare(finding: "Finding") -> str:
    return f"{finding.weight}: {finding.problem}"


def _path(finding: "Finding", folder: Path) -> str:
    if finding.file is None:
        return ""
    try:
        return Path(os.path.relpath(folder / finding.file)).as_posix()
    except OSError:  # nobody knows where we are
        return finding.file


def _say(text: str) -> None:
    """On a terminal as wide as it is, and never broken within a word; else on one line."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size((80, 24)).columns
        plain = {"break_long_words": False, "break_on_hyphens": False}
        text = textwrap.fill(text, width, subsequent_indent="    ", **plain)  # type: ignore[arg-type]
    print(text)


def show_json(found: "Sequence[Finding]", folder: Path) -> None:  # noqa: ARG001 (as the others)
    print_json({"findings": [asdict(finding) for finding in found]})


def show_github(found: "Sequence[Finding]", folder: Path) -> None:
    """Source: GitHub's workflow commands, which escape as `@actions/core` does."""
    for each in found:
        at = {"file": _path(each, folder), "line": str(each.line or "")}
        where = ",".join(f"{name}={_escaped(text, ':,')}" for name, text in at.items() if text)
        said = _escaped(f"{each.problem}\n{each.remedy}")
        print(f"::{GITHUB[each.weight]}{' ' if where else ''}{where}::{said}")


def _escaped(text: str, others: str = "") -> str:
    """Percent signs first."""
    for letter in f"%\r\n{others}":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def show_sarif(found: "Sequence[Finding]", folder: Path) -> None:
    """Source: SARIF 2.1.0 of OASIS."""
    from scaffolder import __version__

    driver = {"name": "rl-scaffolder", "version": __version__}
    results = [_result(each, folder) for each in found]
    print_json(
        {
            "$schema": SARIF,
            "version": "2.1.0",
            "runs": [
                {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
            ],
        }
    )


def _result(finding: "Finding", folder: Path) -> dict[str, Any]:
    text = f"{finding.problem}\n{finding.remedy}"
    result: dict[str, Any] = {"level": finding.weight, "message": {"text": text}}
    if path := _path(finding, folder):
        where: dict[str, Any] = {"artifactLocation": {"uri": quote(path)}}
        where |= {"region": {"startLine": finding.line}} if finding.line else {}
        result["locations"] = [{"physicalLocation": where}]
    return result
