"""How `compare` shows what it found: on a terminal, in a pipe, as JSON, and by asking."""

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pexpect
import pytest

from conftest import Command
from rollouts import record, says, write
from scaffolder.frameworks import discover
from scaffolder.vocabulary import WISHES
from test_compare import GRPO, offered, report
from test_wizard import CTRL_C, DOWN, ENTER, start

# How it is shown


def test_without_anything_all_frameworks_stand_below_each_other(scaffold: Command) -> None:
    shown = scaffold("compare").stdout
    assert scaffold("compare", "--yes").stdout == shown
    for framework in discover().values():
        assert framework.title in shown and framework.version in shown
    for criterion in [*WISHES, *(fact.criterion for each in offered() for fact in each.facts)]:
        assert f"\n{criterion}\n" in shown
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", shown)}
    noted = {int(number) for number in re.findall(r"^\[(\d+)\] .", shown, re.MULTILINE)}
    assert cited == noted == set(range(1, len(noted) + 1))
    assert "the frameworks that this version of rl-scaffolder renders" in shown


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [(), (*GRPO, "--want", "scale"), ("--algorithm", "sft")])
def test_it_fits_the_terminal_but_for_the_commands(
    scaffold: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = scaffold("compare", *arguments).stdout.splitlines()
    wide = [line for line in lines if len(line) > columns]
    assert all(line.startswith("  rl-scaffolder new ") for line in wide)
    assert not any("…" in line for line in lines)
    words = {word for each in discover().values() for word in each.generations}
    said = re.findall(r"\w+", " ".join(lines))
    assert arguments or words <= set(said), "no word is cut"


NULLABLE = {"type": ["string", "null"]}
STRINGS = {"type": "array", "items": {"type": "string"}}
GRADE = {"enum": [0, 1, 2, None]}


def strictly(**properties: Any) -> dict[str, Any]:
    closed = {"additionalProperties": False, "required": list(properties)}
    return {"type": "object", "properties": properties, **closed}


SCHEMA = strictly(
    algorithm=NULLABLE,
    wishes={"type": "array", "items": {"enum": list(WISHES)}},
    recommended=NULLABLE,
    command=NULLABLE,
    because={"type": "string"},
    nearest=NULLABLE,
    covers={"type": "string"},
    most={"type": "integer"},
    frameworks={
        "type": "array",
        "items": strictly(
            name={"type": "string"},
            title={"type": "string"},
            version={"type": "string"},
            feasible={"type": "boolean"},
            algorithms=STRINGS,
            reasons={
                "type": "array",
                "items": strictly(reason={"type": "string"}, algorithms=STRINGS),
            },
            score={"type": "integer"},
            wishes={
                "type": "array",
                "items": strictly(
                    wish={"enum": list(WISHES)},
                    grade=GRADE,
                    reason={"type": "string"},
                    source=NULLABLE,
                    date=NULLABLE,
                    counts={"type": "boolean"},
                ),
            },
            plan={
                "anyOf": [
                    {"type": "null"},
                    {"required": ["algorithm", "world_size", "memory_gib", "notes"]},
                ]
            },
            command=NULLABLE,
            instead={
                "type": "array",
                "items": strictly(words={"type": "string"}, command={"type": "string"}),
            },
            offers={"type": "object", "additionalProperties": STRINGS},
            facts={
                "type": "array",
                "items": strictly(
                    criterion={"type": "string"},
                    value={"type": "string"},
                    source={"type": "string"},
                    date={"type": "string"},
                    grade=GRADE,
                ),
            },
        ),
    },
)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        ((*GRPO, "--want", "amd", "--want", "scale"), 0),
        (("--algorithm", "dpo", "--topology", "ray"), 1),
        (("--algorithm", "sft", "--model", "unknown"), 0),
        ((*GRPO, "--model", "org/m-70b", "--gpus-per-node", "8"), 1),
    ],
)
def test_json_is_the_contract(scaffold: Command, arguments: tuple[str, ...], code: int) -> None:
    found = report(scaffold, *arguments, code=code)
    jsonschema.validate(found, SCHEMA)
    assert {each["name"] for each in found["frameworks"]} == set(discover())
    plans = [each["plan"] for each in found["frameworks"] if each["feasible"]]
    unknown = "unknown" in arguments
    assert all((plan["memory_gib"] is None) == unknown for plan in plans)


# On a terminal


def asked(folder: Path, *arguments: str) -> pexpect.spawn:
    return start(folder, *arguments, command="compare")


def test_the_questions_lead_to_a_command_that_runs(scaffold: Command, tmp_path: Path) -> None:
    rows = [record([says(f"answer {n}")], reward=n % 2, _ng_task_index=n // 2) for n in range(8)]
    write(tmp_path / "rollouts.jsonl", *rows)
    terminal = asked(tmp_path)
    terminal.expect("Where are the rollouts")
    terminal.send(ENTER)
    terminal.expect("8 rollouts of 4 tasks")
    terminal.expect(r"dpo.*fits the rollouts")
    terminal.send(ENTER)
    for question, keys in (
        ("Where are the GPUs", ENTER),
        ("How many machines", ENTER),
        ("How many GPUs", "4" + ENTER),
        ("How much memory", "<" + ENTER),
        (r"How many GPUs.*\[4\]", ENTER),
        ("How much memory", ENTER),
        ("Which model", ENTER),
        ("What matters to you", "?"),
        ("with a source", ""),
        ("What matters to you", "<"),
        ("Which model", ENTER),
        ("What matters to you", " " + DOWN + " " + ENTER),
    ):
        terminal.expect(question)
        terminal.send(keys)
    terminal.expect("wanted: scale, few_gpus")
    terminal.expect("TRL is put first")
    terminal.expect(r"rl-scaffolder (new [^\r]*--yes)\r")
    words = shlex.split(terminal.match[1])
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert not (tmp_path / "trl-dpo").exists()
    assert scaffold(*words).returncode == 0
    saved = (tmp_path / "trl-dpo" / ".copier-answers.yml").read_text("utf-8")
    assert "gpus_per_node: 4" in saved and "algorithm: dpo" in saved


def test_what_was_said_is_not_asked_and_nothing_need_matter(tmp_path: Path) -> None:
    sizes = ("--nodes", "1", "--gpus-per-node", "2", "--gpu-memory", "80", "--model", "org/m-1b")
    terminal = asked(tmp_path, "--rollouts", "r.jsonl", "--topology", "local", *sizes)
    terminal.expect("Which algorithm")
    terminal.expect("not decided")
    terminal.send(ENTER)
    terminal.expect("What matters to you")
    terminal.send(ENTER)
    terminal.expect("can do sft, dpo, grpo")
    terminal.expect(r"none\s+is\s+put\s+first")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_ctrl_c_stops_it_and_bad_flags_do_before_any_question(tmp_path: Path) -> None:
    terminal = asked(tmp_path)
    terminal.expect("Where are the rollouts")
    terminal.send(CTRL_C)
    terminal.expect("cancelled")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    terminal = asked(tmp_path, "--want", "cpus")
    terminal.expect("did you mean cpu")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 2


def test_with_yes_or_json_it_never_asks(tmp_path: Path) -> None:
    for last in ("--yes", "--json"):
        terminal = asked(tmp_path, "--algorithm", "grpo", "--want", "cpu", last)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0


def test_completion_knows_the_wishes() -> None:
    from scaffolder.cli import options

    assert get_args(options.Algorithm)[1].autocompletion("d") == ["dpo", "dapo"]
    assert options.one_of(WISHES)("s") == ["scale"]
