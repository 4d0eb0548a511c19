"""What becomes of records in any form: rows of the kinds that they can feed, or a reason."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from conftest import Result
from inside import CUSTOM, counted, inside
from rl_rollouts.survey import findings
from rl_rollouts.survey.look import survey_rollouts
from scripts import FILTER
from test_forms import ASKED, SAID

TALK = {"messages": [ASKED, SAID]}
PAIR = {"prompt": "Price of soap?", "chosen": "2 euro.", "rejected": "5."}
Rows = list[dict[str, Any]]


def prepared(folder: Path, kind: str, *records: Any, options: str = "") -> tuple[Result, Rows]:
    if records:
        text = "".join(json.dumps(each) + "\n" for each in records)
        (folder / "in.jsonl").write_text(text)
    words = f"--input in.jsonl --kind {kind} --eval_share 0 --max_bad_share 1 {options}"
    done = inside(CUSTOM, folder, words)
    out = folder / "out.jsonl"
    made = out.read_text("utf-8").splitlines() if done.returncode == 0 else []
    return done, [json.loads(each) for each in made]


# --- what needs no reward, and what does ---


def test_rewards_are_asked_for_where_they_are_needed(tmp_path: Path) -> None:
    _, (row,) = prepared(tmp_path, "sft", TALK)
    assert row["completion"] == [SAID] and row["reward"] is None
    _, (row,) = prepared(tmp_path, "prompts", TALK)
    assert row["prompt"] == [ASKED]
    for kind in ("preference", "unpaired", "trajectories"):
        done, _ = prepared(tmp_path, kind, TALK)
        assert "no reward, which is needed here" in done.stdout and "--reward_key" in done.stdout
    for options in ("--min_reward 0", "--select best"):
        assert "no reward" in prepared(tmp_path, "sft", TALK, options=options)[0].stdout
    _, (row,) = prepared(tmp_path, "unpaired", TALK, options="--reward 1")
    assert row["label"] is True
    _, (row,) = prepared(tmp_path, "unpaired", {**TALK, "s": 0}, options="--reward_key s")
    assert row["label"] is False


def test_prompts_without_an_answer_feed_online_algorithms_alone(tmp_path: Path) -> None:
    asked = {"question": "What is 1 plus 1?", "answer": "2"}
    _, (row,) = prepared(tmp_path, "prompts", asked)
    assert (row["prompt"][0]["content"], row["ground_truth"]) == (asked["question"], "2")
    for kind in ("sft", "preference", "unpaired", "trajectories"):
        done, _ = prepared(tmp_path, kind, asked)
        assert "an input without a response" in done.stdout and "no reward" not in done.stdout


def test_pairs_stay_the_pairs_that_they_are(tmp_path: Path) -> None:
    """Also where several have one prompt: nothing is compared anew."""
    other = {**PAIR, "chosen": "2 euro!", "rejected": "6."}
    _, rows = prepared(tmp_path, "preference", PAIR, other)
    found = {(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows}
    assert found == {("2 euro.", "5."), ("2 euro!", "6.")}
    _, rows = prepared(tmp_path, "unpaired", PAIR)
    assert [(row["completion"][0]["content"], row["label"]) for row in rows] == [
        ("2 euro.", True), ("5.", False),
    ]  # fmt: skip
    done, _ = prepared(tmp_path, "sft", PAIR)
    assert "a pair of a chosen and a rejected answer" in done.stdout


def test_what_is_masked_or_failed_is_no_side_of_a_pair(tmp_path: Path) -> None:
    bad = {**TALK, "messages": [ASKED, {**SAID, "content": "5."}], "reward": 0}
    good = {**TALK, "reward": 1}
    for flags in ({"instance_config": {"mask_sample": True}}, {"error": "no shop"}):
        done, rows = prepared(tmp_path, "preference", good, {**bad, **flags})
        assert not rows and " the environment\n" in done.stdout.partition("removed")[2]
        _, rows = prepared(tmp_path, "unpaired", good, {**bad, **flags})
        assert [row["label"] for row in rows] == [True]
        kept = "--keep_masked --keep_failed"
        assert len(prepared(tmp_path, "preference", good, {**bad, **flags}, options=kept)[1]) == 1
    _, rows = prepared(tmp_path, "prompts", {**bad, "error": "no shop"})
    assert len(rows) == 1


# --- tasks ---


def test_a_number_with_two_prompts_is_two_tasks(tmp_path: Path) -> None:
    records = [
        {"messages": [{**ASKED, "content": f"{run} {task}"}, SAID], "reward": 1, "task_id": task}
        for run in "ab"
        for task in range(4)
    ]
    _, rows = prepared(tmp_path, "prompts", *records)
    assert len(rows) == len({row["task"] for row in rows}) == 8
    summary = survey_rollouts([str(tmp_path / "in.jsonl")]).summary()
    assert (summary.tasks.count, summary.tasks.mixed) == (8, 4)
    assert any("4 task numbers stand for two or more prompts" in each.text for each in
        findings(summary))  # fmt: skip


def test_a_prompt_is_on_one_side_whatever_tasks_it_stands_in(tmp_path: Path) -> None:
    for number in range(60):
        record = {**TALK, "messages": [{**ASKED, "content": f"q {number % 6}"}, SAID]}
        with (tmp_path / "in.jsonl").open("a") as lines:
            lines.write(json.dumps({**record, "task_id": number}) + "\n")
    words = "--input in.jsonl --kind sft --eval_share 0.5"
    assert inside(CUSTOM, tmp_path, words).returncode == 0
    sides = [
        {json.loads(line)["prompt"][0]["content"] for line in (tmp_path / name).open()}
        for name in ("out.jsonl", "out.eval.jsonl")
    ]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


# --- what inspect promises ---


def test_promised_pairs_are_those_that_are_made(tmp_path: Path) -> None:
    """Different rewards are no pair where the prompts or only the results of tools differ."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    uses = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    records = [
        {**TALK, "reward": 1, "task_id": 1},
        {"messages": [{**ASKED, "content": "?"}, {**SAID, "content": "5."}], "reward": 0,
            "task_id": 1},
        {"messages": [{**ASKED, "content": "t"}, uses, result, SAID], "reward": 1},
        {"messages": [{**ASKED, "content": "t"}, uses, {**result, "content": "2"}, SAID],
            "reward": 0},
        {"messages": [{**ASKED, "content": "u"}, SAID], "reward": 1},
        {"messages": [{**ASKED, "content": "u"}, {**SAID, "content": "5."}], "reward": 0},
        PAIR,
    ]  # fmt: skip
    _, rows = prepared(tmp_path, "preference", *records)
    uses_found = survey_rollouts([str(tmp_path / "in.jsonl")]).summary().uses
    assert uses_found.pairs == len(rows) == 2


def test_keys_that_look_decisive_are_said(tmp_path: Path) -> None:
    records = [
        {**TALK, "reward": 1, "is_valid": True, "level": 3, "verifier_type": "x", "skipped": False},
        {"messages": [ASKED, {**SAID, "do_not_train": True}], "reward": 1},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    summary = survey_rollouts([str(tmp_path / "in.jsonl")]).summary()
    decisive = {key.name: key.decisive for key in summary.unread if key.decisive}
    assert decisive == {"is_valid": 1, "messages.do_not_train": 1}
    said = [each for each in findings(summary) if each.weight == "warning"]
    assert any("`is_valid` is not read" in each.text for each in said)
    assert any("level (1)" in each.text for each in findings(summary))
    done = inside(FILTER, tmp_path, "--input in.jsonl")
    assert "not read: is_valid, messages.do_not_train, which look" in done.stderr
    assert "level" not in done.stderr


# --- files that are not lines ---


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["in.json", "in.json.gz"])
def test_json_arrays_are_read(tmp_path: Path, name: str, indent: int | None) -> None:
    text = json.dumps([{**TALK, "reward": 1}, {**TALK, "reward": 0, "score": 0.1}], indent=indent)
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    done = inside(FILTER, tmp_path, f"--input {name} --min_reward 1")
    found = counted(tmp_path, done)
    assert found and (found["read"], found["kept"]) == (2, 1)
    (line,) = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line) == {**TALK, "reward": 1}


def test_pairs_come_from_an_array_too(tmp_path: Path) -> None:
    bad = {"messages": [ASKED, {**SAID, "content": "5."}], "reward": 0}
    (tmp_path / "in.jsonl").write_text(json.dumps([{**TALK, "reward": 1}, bad], indent=1))
    assert len(prepared(tmp_path, "preference")[1]) == 1


def test_parquet_is_read_without_the_nulls_that_arrow_adds(tmp_path: Path) -> None:
    tool = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}  # fmt: skip
    rows = [
        {"messages": [ASKED, tool], "reward": 1.0, "tools": json.dumps([{"name": "f"}])},
        {"messages": [ASKED, SAID], "reward": 0.0, "tools": None},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    done = inside(CUSTOM, tmp_path, "--input in.parquet --kind sft --eval_share 0")
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert first["completion"][0]["tool_calls"] and first["tools"]
    assert second["completion"] == [SAID] and second["tools"] is None


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("in.jsonl", b'{\n  "messages": []\n}\n', "a JSON object over several lines"),
        ("in.csv", b"prompt,response\na,b\n", "a table of text"),
        ("in.zip", b"PK\x03\x04rest", "a zip archive"),
        ("in.json", b'[{"messages": []}, ', "a JSON array that is not whole"),
        ("in.parquet", b"PAR1 and no more", "cannot be read as parquet"),
    ],
)
def test_other_files_are_refused_once(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(data)
    done = inside(FILTER, tmp_path, f"--input {name}")
    assert done.returncode == 2 and problem in done.stderr
    assert not (tmp_path / "rejected.jsonl").exists()


def test_lists_a_line_are_refused_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(f"{json.dumps([ASKED])}\n{json.dumps([SAID])}\n")
    done = inside(FILTER, tmp_path, "--input in.jsonl --max_bad_share 1")
    assert "2  the line is no JSON object" in done.stdout
