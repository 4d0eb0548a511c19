"""`python -m rl_rollouts.validate`: rows we prepare pass, and what is wrong with a row is named."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import real
from conftest import Result, run
from inside import CUSTOM, inside
from projects import render
from rl_rollouts import validate
from rl_rollouts.data.build import Judged, by_turn, trajectory
from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import Unusable
from rl_rollouts.errors import run as run_script
from rl_rollouts.values import Kind
from rollouts import Json, encoded, write
from scripts import ENVIRONMENT
from test_formats import FORMATS, KINDS, rollout, row, schema
from test_fuzz import VALUES, changed, places
from test_fuzz import _double as double
from test_fuzz import _put as put
from test_fuzz import _remove as remove

ROWS: dict[str, Json] = {kind: row("custom", kind) for kind in KINDS}
"""One good row of each kind: two turns of the model, tools, a result, token ids."""
REMOVED = object()
SHAPES = [
    Shape(tokens=True),
    Shape(images="keep", incomplete="cut", tokens=True),
    Shape(reasoning="tags", images="keep", incomplete="cut"),
]


def problems(content: Any, kind: Kind) -> list[str]:
    """What is wrong with one row."""
    content, found = validate._decoded(encoded(content))
    return found or validate._by_schema(content, kind) or [*validate._by_meaning(content, kind)]


def without(content: Json, *path: Any) -> Json:
    made: Json = changed(content, path, remove)
    return made


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """The command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["validate", *words])
        code = 0
        try:
            run_script(validate.main)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(list(words), code, said.out, said.err)

    return call


# --- what we prepare ---


def test_rows_prepared_in_a_project_pass_there(tmp_path: Path) -> None:
    project = render(tmp_path, "--framework", "custom", "--algorithm", "sft")
    for kind in KINDS:
        words = ["--input", "tests/sample_rollouts.jsonl", "--output", f"{kind}.jsonl"]
        prepare = [sys.executable, "prepare_for_custom.py", *words, "--kind", kind]
        assert run(prepare, project).returncode == 0
        for name in (f"{kind}.jsonl", f"{kind}.eval.jsonl"):
            count = len((project / name).read_bytes().splitlines())
            told = run([sys.executable, "-m", "rl_rollouts.validate", name], project)
            assert (told.returncode, told.stdout) == (0, f"{count:,} rows are as they should be.\n")
        prompts = f"{kind}.prompts.jsonl"
        told = run([sys.executable, "-m", "rl_rollouts.validate", prompts], project)
        assert told.returncode == 0, told.stderr


def of_each_kind(one: Rollout) -> list[tuple[Kind, Any]]:
    steps = trajectory(one)
    return [
        ("sft", one),
        ("unpaired", Judged(one, True)),
        ("prompts", one),
        ("trajectories", steps),
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=["whole", "cut", "tags"])
def test_rows_of_every_real_rollout_pass(shape: Shape) -> None:
    checked = 0
    for line in real.lines():
        try:
            one = normalise(line, shape)
        except Unusable:
            continue
        checked += 1
        if not one.completion:
            row = FORMATS["custom"].ROWS["prompts"](one)
            assert problems(msgspec.json.encode(row), "prompts") == []
            continue
        for kind, built in of_each_kind(one):
            assert problems(msgspec.json.encode(FORMATS["custom"].ROWS[kind](built)), kind) == []
    assert checked > len(real.lines()) // 2


@pytest.mark.parametrize("options", ["", "--pairs all --whole"], ids=["turn", "whole"])
def test_pairs_of_real_rollouts_pass(tmp_path: Path, options: str) -> None:
    made = 0
    given = tmp_path / "in.jsonl"
    for file in real.FILES:
        given.unlink(missing_ok=True)
        given.symlink_to(file.resolve())
        words = "--input in.jsonl --kind preference --eval_share 0 --max_bad_share 1"
        if inside(CUSTOM, tmp_path, f"{words} {options}").returncode == 0:
            made += validate.check_rows(tmp_path / "out.jsonl", "preference")
    assert made


def test_rows_of_single_turns_pass() -> None:
    for turn in by_turn(rollout()):
        assert problems(msgspec.json.encode(FORMATS["custom"].ROWS["sft"](turn)), "sft") == []


# --- what is wrong with a row ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_row_has_no_problem(kind: Kind) -> None:
    assert problems(ROWS[kind], kind) == []


TURN, TOKENS = ("completion", 0), ("tokens", 0)
CALL = (*TURN, "tool_calls", 0, "function")


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        ("sft", ["task"], REMOVED, '"task" is a required property'),
        ("sft", ["tsak"], 1, "('tsak' was unexpected)"),
        ("sft", ["reward"], "1", 'reward: "1" is not of types "null", "number"'),
        ("sft", [*TURN, "role"], "user", 'completion.0.role: "assistant" was expected'),
        ("sft", ["prompt", 1, "role"], "bot", "prompt.1.role: "),
        ("sft", [*TURN, "content"], None, "completion.0.content: null"),
        ("sft", [*TURN, "tool_call_id"], "c", "completion.0.tool_call_id: must not be there"),
        ("sft", [*TURN, "content"], [{"type": "text"}], 'content.0: "text" is a required property'),
        ("sft", [*CALL, "arguments"], "{}", 'function.arguments: "{}" is not of type "object"'),
        ("sft", [*TOKENS, "generated", 0], "x", 'tokens.0.generated.0: "x" is not of type'),
        ("prompts", ["tools", 1, "function", "name"], REMOVED, 'tools.1.function: "name" is a'),
        ("prompts", ["prompt"], [], "prompt: [] has less than 1 item"),
        ("unpaired", ["label"], 1, 'label: 1 is not of type "boolean"'),
        ("trajectories", ["states", 1], [], "states.1: [] has less than 1 item"),
        ("preference", ["chosen"], "good", 'chosen: "good" is not of type "array"'),
    ],
)
def test_the_place_in_the_row_is_named(kind: Kind, path: Any, value: Any, said: str) -> None:
    change = remove if value is REMOVED else partial(put, value=value)
    found = problems(changed(ROWS[kind], path, change), kind)
    assert any(said in each for each in found), found


SFT, PAIR, STEPS = ROWS["sft"], ROWS["preference"], ROWS["trajectories"]
USER, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
RESULT = {"role": "tool", "content": "seen"}


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("preference", {**PAIR, "chosen_reward": 0.25}, "chosen_reward: not above"),
        ("preference", {**PAIR, "chosen_reward": 0}, "chosen_reward: not above"),
        ("preference", {**PAIR, "chosen": PAIR["rejected"]}, "chosen: the same as rejected"),
        ("preference", {**PAIR, "chosen": [ANSWER, RESULT]}, "chosen.1: a result of the call"),
        ("sft", without(SFT, "completion", 1), "completion.1: the call '1' has no result before"),
        ("sft", without(SFT, "completion", 0, "tool_calls"), "completion.1: a result of the call"),
        ("sft", changed(SFT, ("completion", 1), double), "completion.2: a result of the call '1'"),
        ("unpaired", {**ROWS["unpaired"], "prompt": [USER, RESULT]}, "prompt.1: a result of the"),
        ("prompts", {**ROWS["prompts"], "prompt": [USER, SFT["completion"][0]]}, "prompt.2: the"),
        ("sft", without(SFT, "tokens", 0), "tokens: 1 entries for 2 messages of the model"),
        ("sft", without(SFT, "tokens", 1, "logprobs", 0), "tokens.1: not as many"),
        ("trajectories", without(STEPS, "tokens", 0), "tokens: 1 entries for 2"),
        ("trajectories", without(STEPS, "tokens", 1, "generated", 0), "tokens.1: not as many"),
        ("trajectories", without(STEPS, "rewards", 0), "'rewards': 1} are not equally long"),
        ("trajectories", without(STEPS, "states", 0), "'states': 1"),
        ("trajectories", without(STEPS, "states", 1, 3), "states.1.3: the call '1' has no result"),
        ("trajectories", without(STEPS, "states", 1, 2), "states.1.2: a result of the call '1'"),
    ],
)
def test_what_a_schema_cannot_say_is_found(kind: Kind, content: Json, said: str) -> None:
    assert schema(kind).is_valid(content), "it is no matter of the schema"
    found = problems(content, kind)
    assert any(said in each for each in found), found


def answers(calls: list[str | None], results: list[str | None]) -> Json:
    """A row with parallel calls, and results in the given order."""
    function = {"name": "look", "arguments": {}}
    made: list[Json] = [{"type": "function", "function": function, "id": each} for each in calls]
    asked = {"role": "assistant", "content": "", "tool_calls": made}
    given: list[Json] = [{"role": "tool", "content": "x", "tool_call_id": each} for each in results]
    for each in (*made, *given):
        for key in [key for key, value in each.items() if value is None]:
            del each[key]
    return {**SFT, "tokens": None, "completion": [asked, *given]}


@pytest.mark.parametrize(
    ("calls", "results", "good"),
    [
        (["a", "b"], ["b", "a"], True),
        (["a", "b"], ["a"], True),  # the rollout ends before the other result
        (["a", "a"], ["a", "a"], True),
        ([None, None], [None, None], True),
        (["a", None], [None, "a"], True),
        (["a", None], ["b", "a"], True),
        (["a", "b"], [None, None], True),
        (["a"], ["b"], False),
        (["a", "b"], ["a", "a"], False),
        (["a"], ["a", None], False),
        (["a", None], ["b", "b"], False),
    ],
)
def test_results_find_their_calls(
    calls: list[str | None], results: list[str | None], good: bool
) -> None:
    assert (problems(answers(calls, results), "sft") == []) is good


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\x00" * 40, "no JSON"),
        (b'{"task": "t\x00"}', "no JSON"),
        (b'{"task": "t"', "no JSON"),
        (b'{"task": "\xff"}', "no JSON"),
        (b'"row"', "no JSON object"),
        (b"[{}]", "no JSON object"),
        (b"null", "no JSON object"),
        (encoded({**SFT, "reward": float("nan")}), "no JSON"),
        (encoded({**SFT, "reward": 0}).replace(b'"reward": 0', b'"reward": 1e999'), "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "no JSON"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_row_is_said_with_its_line(
    command: Callable[..., Result], line: bytes, said: str
) -> None:
    write(Path("data.jsonl"), line, SFT, line)
    done = command("data.jsonl")
    assert done.returncode == 1
    assert "2 of 3 rows" in done.stderr
    assert f"data.jsonl:1: {said}" in done.stderr and f"data.jsonl:3: {said}" in done.stderr


@pytest.mark.parametrize("depth", [200, 300, 900])
def test_deep_nesting_is_judged_like_anything_else(depth: int) -> None:
    deep = json.loads('{"a":' * depth + "1" + "}" * depth)
    assert problems({**SFT, "metadata": deep}, "sft") == []
    assert problems({**SFT, "reward": deep}, "sft")


def test_a_line_of_megabytes_is_read_and_never_printed(command: Callable[..., Result]) -> None:
    text = "long \u20ac " * 700_000
    message = [{"role": "assistant", "content": text}]
    good = {**SFT, "completion": message, "tokens": None}
    write(Path("data.jsonl"), good, {**SFT, "reward": text}, {**good, "completion": text})
    done = command("data.jsonl")
    assert "2 of 3 rows" in done.stderr and len(done.stderr) < 2_000
    assert 'is not of types "null", "number"' in done.stderr
    assert 'is not of type "array"' in done.stderr


# --- the command ---


def test_a_file_without_a_bad_row(command: Callable[..., Result]) -> None:
    Path("data.jsonl").write_bytes(b"\n  \r\n".join(encoded(SFT) for _ in range(3)) + b"\n\n")
    done = command("data.jsonl")
    assert (done.returncode, done.stdout) == (0, "3 rows are as they should be.\n")
    done = command("data.jsonl", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"rows": 3, "bad": []})


def test_lines_are_those_of_the_file_with_blank_ones(command: Callable[..., Result]) -> None:
    Path("data.jsonl").write_bytes(b"\n" + encoded(SFT) + b"\n\n{}\n")
    done = command("data.jsonl", "--json")
    (bad,) = json.loads(done.stdout)["bad"]
    assert done.returncode == 1 and bad["place"] == "data.jsonl:4"
    assert '"task" is a required property' in bad["problems"]


def test_only_so_many_bad_rows_are_printed_and_all_are_counted(
    command: Callable[..., Result],
) -> None:
    write(Path("data.jsonl"), SFT, *[{"n": n} for n in range(validate.SHOWN + 5)])
    done = command("data.jsonl")
    assert f"{validate.SHOWN + 5} of {validate.SHOWN + 6} rows" in done.stderr
    assert done.stderr.count("data.jsonl:") == validate.SHOWN and "and 5 more" in done.stderr
    assert len(json.loads(command("data.jsonl", "--json").stdout)["bad"]) == validate.SHOWN + 5


def test_shards_are_one_file(command: Callable[..., Result]) -> None:
    write(Path("training_data-00001-of-00002.jsonl"), SFT, SFT)
    write(Path("training_data-00002-of-00002.jsonl"), SFT, without(SFT, "tools"))
    done = command("training_data.jsonl")
    assert done.returncode == 1 and "1 of 4 rows" in done.stderr
    assert "training_data-00002-of-00002.jsonl:2: " in done.stderr
    assert command("training_data-00001-of-00002.jsonl").returncode == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_row_says_the_kind(command: Callable[..., Result], kind: Kind) -> None:
    others = [ROWS[each] for each in KINDS if each != kind]
    write(Path("data.jsonl"), b"no json", ROWS[kind], *others, ROWS[kind])
    found = json.loads(command("data.jsonl", "--json").stdout)
    assert found["rows"] == len(KINDS) + 2
    assert [each["place"] for each in found["bad"]] == [f"data.jsonl:{n}" for n in (1, 3, 4, 5, 6)]
    given = json.loads(command("data.jsonl", "--json", "--kind", kind).stdout)
    assert given == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: file"),
        (["missing.jsonl"], "no data file missing.jsonl"),
        (["."], "no data file ."),
        (["empty.jsonl"], "holds no rows"),
        (["empty.jsonl", "--json"], "holds no rows"),
        (["blank.jsonl"], "holds no rows"),
        (["rows.parquet"], "no data file rows.parquet in JSONL"),
        (["other.jsonl"], "other.jsonl:1: a row of no dataset kind"),
        (["other.jsonl", "--kind", "chat"], "invalid choice: 'chat'"),
    ],
)
def test_wrong_usage(command: Callable[..., Result], words: list[str], said: str) -> None:
    Path("empty.jsonl").touch()
    Path("blank.jsonl").write_text("\n \n")
    Path("rows.parquet").write_bytes(b"PAR1")
    write(Path("other.jsonl"), {"messages": []})
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_a_file_that_no_row_can_be_read_from_is_bad_rows(command: Callable[..., Result]) -> None:
    Path("data.jsonl").write_bytes(b"\x1f\x8b\x08\x00\nbinary\n")
    done = command("data.jsonl")
    assert done.returncode == 1 and "2 of 2 rows" in done.stderr


def test_as_a_module_in_a_process_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", SFT, {**SFT, "reward": "high"})
    words = [sys.executable, "-m", "rl_rollouts.validate", "data.jsonl"]
    done = run(words, tmp_path, env=ENVIRONMENT)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert 'data.jsonl:2: reward: "high" is not of types' in done.stderr


def test_without_jsonschema_rs_it_is_said_what_to_install(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Path("data.jsonl"), SFT)
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    validate._validator.cache_clear()
    done = command("data.jsonl")
    assert done.returncode == 2 and "jsonschema-rs is not installed" in done.stderr
    assert "pip install" in done.stderr


# --- the reference implementation ---

PLACES = [(kind, path) for kind, content in ROWS.items() for path in places(content)]
CHANGES = VALUES.map(lambda value: partial(put, value=value)) | st.sampled_from([remove, double])


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), CHANGES)
def test_rows_are_judged_as_by_the_reference_implementation(
    place: tuple[Kind, Any], change: Callable[[Any, Any], None]
) -> None:
    kind, path = place
    content, no_row = validate._decoded(encoded(changed(ROWS[kind], path, change)))
    if not no_row:
        found = validate._by_schema(content, kind)
        assert (found == []) is schema(kind).is_valid(content)
        if not found:
            list(validate._by_meaning(content, kind))
