"""`rl-scaffolder check --format`: for people and editors, scripts, GitHub and code scanning."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from checked import TRL, Copy, append, projects
from conftest import Command
from scaffolder.cli import findings
from scaffolder.project import Finding

# What SARIF 2.1.0 requires of a log, a run, a driver, a result and a place, and what it lets
# the values be.
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {"driver": {"required": ["name"]}},
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "required": ["message"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"]},
                                "locations": {"type": "array", "items": {"$ref": "#/$defs/place"}},
                            },
                        },
                    },
                },
            },
        },
    },
    "$defs": {
        "place": {
            "required": ["physicalLocation"],
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {
                            "properties": {"uri": {"type": "string", "pattern": r"^[\w./%~-]+$"}}
                        },
                        "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
                    },
                }
            },
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project: Copy = projects(tmp_path, monkeypatch)
    return project()


def test_text_is_what_editors_read(folder: Path, scaffold: Command) -> None:
    line = append(folder / TRL, "learning_rat: 1.0e-5")
    for where, place in ((folder, TRL), (folder.parent, f"p/{TRL}")):
        done = scaffold("check", *(() if where == folder else ("p",)), cwd=where)
        assert done.returncode == 1
        assert f"{place}:{line}: error: learning_rat is no key of trl 1.16.0\n" in done.stdout
        lines = done.stdout.splitlines()
        said = [each for each in lines if each and not each.startswith(" ")]
        assert all(re.match(r"(\S+(:\d+)?: )?(error|warning|note): ", each) for each in said[:-1])
        assert said[-1] == "1 error(s)."


def test_github_shows_it_at_the_line(folder: Path, scaffold: Command) -> None:
    line = append(folder / TRL, "learning_rat: 1.0e-5")
    done = scaffold("check", "--format", "github", cwd=folder)
    said = done.stdout.splitlines()
    assert done.returncode == 1
    assert said[0] == (
        f"::error file={TRL},line={line}::learning_rat is no key of trl 1.16.0"
        "%0ADid you mean learning_rate?"
    )
    assert all(re.match(r"::(error|warning|notice)( |::)", each) for each in said)


def test_sarif_has_what_its_schema_demands(folder: Path, scaffold: Command) -> None:
    line = append(folder / TRL, "learning_rat: 1.0e-5")
    done = scaffold("check", "p", "--format", "sarif", cwd=folder.parent)
    log = json.loads(done.stdout)
    jsonschema.validate(log, SARIF)
    (first, *_) = log["runs"][0]["results"]
    assert first["level"] == "error" and "did you mean" in first["message"]["text"].lower()
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"p/{TRL}" and place["region"]["startLine"] == line


def test_nothing_found_is_a_log_as_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    findings.show_sarif([], tmp_path)
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, SARIF)
    assert log["runs"][0]["results"] == []
    findings.show_github([], tmp_path)
    assert capsys.readouterr().out == ""


ODD = Finding("warning", "100 %: a, b\nand more", "Do: that, 50 %.", "a b,c:ä.yaml", 3)


def test_odd_names_and_texts_are_escaped(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    findings.show_github([ODD], Path())
    assert capsys.readouterr().out == (
        "::warning file=a b%2Cc%3Aä.yaml,line=3::100 %25: a, b%0Aand more%0ADo: that, 50 %25.\n"
    )
    findings.show_sarif([ODD], Path())
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, SARIF)


def test_json_is_the_short_word_for_its_format(folder: Path, scaffold: Command) -> None:
    short, long = (
        scaffold("check", "--json", cwd=folder),
        scaffold("check", "--format", "json", cwd=folder),
    )
    assert short.stdout == long.stdout and json.loads(short.stdout)["findings"]


@pytest.mark.parametrize("words", [("--format", "xml"), ("--json", "--format", "sarif")])
def test_other_words_are_refused(scaffold: Command, words: tuple[str, ...]) -> None:
    done = scaffold("check", *words)
    assert done.returncode == 2 and "--format" in done.stderr


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_key_is_broken_within_a_word(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio"
    found = [Finding("error", f"{key} is no number " * 3, f"Set {key}.", "verl_config.yaml", 41)]
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    findings.show(found, Path())
    said = capsys.readouterr().out
    assert said.count(key) == 4 and max(map(len, said.splitlines())) <= max(width, len(key) + 30)
