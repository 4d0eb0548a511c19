"""prepare_for_*.py: rows of each dataset kind, pairs, and held-out tasks."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from inside import CUSTOM, counted, inside
from rl_rollouts.data.normalise import normalise
from rollouts import (
    Json,
    asks,
    calls,
    chat,
    encoded,
    read,
    record,
    replies,
    result,
    says,
    shown,
    thinks,
    user,
    write,
)
from scripts import FILTER, LINES, PREPARE, call, line

pytestmark = pytest.mark.usefixtures("config")


def prepared(
    folder: Path, rows: list[Any], more: str = "--eval_share 0", script: Path = PREPARE
) -> list[list[Json]]:
    """Training rows, held-out rows and held-out prompts."""
    write(folder / "in.jsonl", *rows)
    done = inside(script, folder, f"--input in.jsonl {more}")
    found = counted(folder, done, script)
    assert found, done.stderr
    sides = [read(folder / f"out{kind}.jsonl") for kind in ("", ".eval", ".prompts")]
    names = ("training rows", "held-out rows", "held-out prompts")
    assert [len(side) for side in sides] == [found[name] for name in names]
    return sides


def test_sft_rows_and_prompts(tmp_path: Path) -> None:
    function = {"name": "look", "parameters": {"type": "object"}}
    params = {"input": [user("q")], "tools": [{"type": "function", **function}]}
    output = [thinks("t"), calls("c1"), result("c1"), says("a")]
    stamped = {"_ng_task_index": 3, "agent_ref": {"name": "math"}, "expected_answer": "4"}
    row = record(output, responses_create_params=params, **stamped)
    prompt = [{"role": "user", "content": "q"}]
    called = {"name": "look", "arguments": {"at": 1}}
    completion = [
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "t",
            "tool_calls": [{"id": "c1", "type": "function", "function": called}],
        },
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        {"role": "assistant", "content": "a"},
    ]
    tools = [{"type": "function", "function": function}]
    rows, held_out, prompts = prepared(tmp_path, [row])
    assert rows == [{"prompt": prompt, "completion": completion, "tools": tools}]
    assert held_out == prompts == []
    others = [json.loads(each) for each in LINES]
    _, held_out, prompts = prepared(tmp_path, [row, *others], "--eval_share 0.99")
    assert rows[0] in held_out
    known = {"task": task_of(row), "ground_truth": "4", "metadata": {"expected_answer": "4"}}
    assert {**known, "prompt": prompt, "tools": tools} in prompts


def task_of(row: Json) -> str:
    """A task has the agent and the number of NeMo Gym, and what tells its prompt from others."""
    task = normalise(json.dumps(row).encode()).task
    assert task.startswith("math:3:")
    return task


def looks(seen: str, end: str, ids: str) -> list[Json]:
    return [calls(ids), result(ids, seen), says(end)]


@pytest.mark.parametrize(
    ("rollouts", "expected"),
    [
        ({1: [says("a")], 0: [says("b")]}, (1, "a", "b")),
        ({0: [says("b")], 0.5: [says("c")], 1: [says("a")]}, (1, "a", "b")),
        ({-1: [says("b")], -0.5: [says("a")]}, (1, "a", "b")),
        ({0.7: [says("a")], 0.2: [says("b")]}, (1, "a", "b")),
        ({0.7: [says("a")], 0.21: [says("b")]}, None),
        ({1: [says("a")]}, None),
        ({1: [says("a")], 0: [says("a")]}, None),
        ({1: looks("x", "a", "id1"), 0: looks("x", "b", "id2")}, (3, "a", "b")),
        ({1: [says("a")], 0: looks("x", "b", "id2")}, (1, "a", "")),
        ({1: looks("x", "a", "id1"), 0: looks("y", "b", "id2")}, None),
        ({1: looks("x", "a", "id1"), 0: looks("x", "a", "id2")[:2]}, None),
        ({1: looks("x", "a", "id1")[:2], 0: looks("x", "a", "id2")}, None),
    ],
)
def test_pairs(
    tmp_path: Path,
    config: Path,
    rollouts: dict[float, list[Json]],
    expected: tuple[int, str, str] | None,
) -> None:
    """Each case beside a pair that is always there, and beside ties."""
    config.write_text("algorithm: dpo\n")
    always = [record([says(end)], "always", reward=len(end)) for end in ("good", "bad")]
    ties = [record([says(end)], "tie") for end in ("good", "bad")]
    rows = [record(output, reward=reward) for reward, output in rollouts.items()]
    pairs, _, _ = prepared(tmp_path, [*always, *ties, *rows], "--min_margin 0.5 --eval_share 0")
    found = {
        pair["prompt"][0]["content"]: (
            len(pair["prompt"]),
            *(turn["content"] for turn in (*pair["chosen"], *pair["rejected"])),
        )
        for pair in pairs
    }
    assert found.pop("always") == (1, "good", "bad")
    assert found == ({"question": expected} if expected else {})
    assert all(pair["prompt"][-1]["role"] != "assistant" for pair in pairs)


@pytest.mark.parametrize("kind", ["sft", "preference", "unpaired", "prompts"])
def test_split(tmp_path: Path, kind: str) -> None:
    """No task on both sides, any order of the input, ties among the rewards, tasks added."""
    rows = [
        record([says(f"answer {k}")], f"question {n}", reward=k // 2, note=k)
        for n in range(200)
        for k in range(4)
    ]
    options = f"--kind {kind} --eval_share 0.2"
    first = prepared(tmp_path, rows[:600], options)
    mixed = random.Random(1).sample(rows[:600], 600)
    again = prepared(tmp_path, mixed, options)
    assert list(map(shown, again)) == list(map(shown, first))
    second = prepared(tmp_path, [*rows[600:], *mixed], options)
    for before, after in zip(map(shown, first), map(shown, second), strict=True):
        assert set(before) <= set(after)
    train, held_out, prompts = ({str(row["prompt"]) for row in side} for side in second)
    assert not train & held_out and held_out == prompts
    assert len(train) + len(held_out) == 200 and 20 <= len(held_out) <= 60


@pytest.mark.parametrize("script", [PREPARE, CUSTOM])
def test_one_task_is_on_one_side_however_its_prompt_is_written(
    tmp_path: Path, script: Path
) -> None:
    """Some writers of JSON escape what is not ASCII, and slashes, and others do not."""
    rows = []
    for number in range(60):
        row = record([says(f"a {number}")], f"\u00e9/\u2028 {number}")
        parts = record(
            [says(f"b {number}")],
            [user([{"type": "input_text", "text": f"\u00e9/\u2028 {number}"}])],
        )
        plain = json.dumps(row, ensure_ascii=False).encode()
        rows += [encoded(row), plain, encoded(row).replace(b"/", b"\\/"), encoded(parts)]
    train, held_out, prompts = (
        {json.dumps(row["prompt"]) for row in side}
        for side in prepared(tmp_path, rows, "--kind sft --eval_share 0.5", script)
    )
    assert train and held_out and not train & held_out and held_out == prompts
    assert len(train) + len(held_out) == 60


TWO = [calls("c1"), result("c1"), says("a")]
GOOD = {"reward": 1, "_ng_task_index": 3, "agent_ref": {"name": "math"}, "level": [1]}
QUESTION = [{"role": "user", "content": "question"}]
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
    ],
}
SEEN = {"role": "tool", "content": "seen", "tool_call_id": "c1"}
END = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("sft", {"completion": [CALL, SEEN, END], "reward": 1.0, "tokens": None}),
        ("unpaired", {"completion": [CALL, SEEN, END], "reward": 1.0, "label": True}),
        ("prompts", {"ground_truth": None}),
        (
            "trajectories",
            {
                "states": [QUESTION, [*QUESTION, CALL, SEEN]],
                "actions": [CALL, END],
                "rewards": [0.0, 1.0],
                "tokens": None,
            },
        ),
    ],
)
def test_rows_of_custom_trainers(tmp_path: Path, kind: str, expected: Json) -> None:
    row, *others = prepared(
        tmp_path, [record(TWO, **GOOD)], f"--eval_share 0 --kind {kind}", CUSTOM
    )[0]
    common = {"task": task_of(record(TWO, **GOOD)), "tools": None, "metadata": {"level": [1]}}
    prompt = {} if kind == "trajectories" else {"prompt": QUESTION}
    assert row == {**common, **prompt, **expected} and not others


def test_rewards_and_tokens_of_turns_reach_the_trainer(tmp_path: Path) -> None:
    ids = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-1]}
    output = [{**calls("c1"), **ids, "reward": 0.25}, result("c1"), {**says("a"), **ids}]
    tokens = [{"prompt": [1], "generated": [2], "logprobs": [-1.0]}] * 2
    rows = [record(output)]
    (steps,) = prepared(tmp_path, rows, "--eval_share 0 --kind trajectories", CUSTOM)[0]
    assert (steps["rewards"], steps["tokens"]) == ([0.25, 0.0], tokens)
    (row,) = prepared(tmp_path, rows, "--eval_share 0 --kind sft", CUSTOM)[0]
    assert (row["reward"], row["tokens"]) == (1.0, tokens)


@pytest.mark.parametrize(
    ("options", "completion"),
    [
        ("", {"content": "a", "reasoning_content": "t"}),
        ("--reasoning tags", {"content": "<think>\nt\n</think>\n\na"}),
        ("--reasoning drop", {"content": "a"}),
    ],
)
@pytest.mark.parametrize("script", [PREPARE, CUSTOM])
def test_reasoning_is_an_option(
    tmp_path: Path, script: Path, options: str, completion: Json
) -> None:
    rows = [chat(asks(), replies("a", reasoning_content="t"))]
    ((row,), _, _) = prepared(tmp_path, rows, f"--kind sft --eval_share 0 {options}", script)
    assert row["completion"] == [{"role": "assistant", **completion}]


CHOICES = [line(number // 4, reward=number % 4, note=number) for number in range(80)]


@pytest.mark.parametrize(
    ("options", "rewards"),
    [
        ("--kind sft", [0, 1, 2, 3] * 20),
        ("--kind sft --select best", [3] * 20),
        ("--kind sft --min_reward 2", [2, 3] * 20),
        ("--kind sft --min_reward 1 --select best", [3] * 20),
        ("--kind unpaired --select best", [3] * 20),
        ("--kind trajectories --select best", [3] * 20),
    ],
)
def test_which_rollouts_are_taken(tmp_path: Path, options: str, rewards: list[int]) -> None:
    rows = prepared(tmp_path, CHOICES, f"--eval_share 0 {options}", CUSTOM)[0]
    assert [row["reward"] if "reward" in row else row["rewards"][-1] for row in rows] == rewards


@pytest.mark.parametrize("options", ["--kind sft --select one", "--kind prompts"])
def test_one_row_a_task(tmp_path: Path, options: str) -> None:
    rows = prepared(tmp_path, CHOICES, f"--eval_share 0 {options}", CUSTOM)[0]
    assert len(rows) == 20 == len({row["task"] for row in rows})


def test_unpaired_rows_are_good_from_a_reward_on(tmp_path: Path) -> None:
    options = "--eval_share 0 --kind unpaired --good_from 2"
    rows = prepared(tmp_path, CHOICES, options)[0]
    assert [row["label"] for row in rows] == [False, False, True, True] * 20


def same(number: int, reward: float) -> Json:
    return record([says(f"answer {number}")], "question", reward=reward)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {(3, 0)}),
        ("--pairs all", {(3, 0), (3, 1), (3, 2), (2, 0), (2, 1), (1, 0)}),
        ("--pairs all --min_margin 1.5", {(3, 0), (3, 1), (2, 0)}),
        ("--pairs all --max_pairs 1", {(3, 0)}),
        ("--pairs all --max_pairs 3", {(3, 0), (3, 1)}),
        ("--pairs all --min_reward 1", {(3, 1), (3, 2), (2, 1)}),
    ],
)
def test_which_pairs_are_taken(
    tmp_path: Path, options: str, expected: set[tuple[float, float]]
) -> None:
    """The widest first; ties never."""
    rows = [same(number, number) for number in range(4)] + [same(9, 3)]
    pairs = prepared(tmp_path, rows, f"--eval_share 0 --kind preference {options}", CUSTOM)[0]
    assert {(pair["chosen_reward"], pair["rejected_reward"]) for pair in pairs} == expected


@pytest.mark.parametrize("duplicates", ["keep", "exact"])
def test_duplicates_make_no_second_pair(tmp_path: Path, duplicates: str) -> None:
    rows = [same(1, 1), same(1, 1), same(0, 0), same(0, 0)]
    options = f"--eval_share 0 --kind preference --pairs all --duplicates {duplicates}"
    pairs = prepared(tmp_path, rows, options, CUSTOM)[0]
    assert len(pairs) == {"keep": 4, "exact": 1}[duplicates]


def test_whole_completions_make_pairs_for_reward_models(tmp_path: Path) -> None:
    """Where the model did the same first, and then something else."""
    rows = [record([*TWO[:2], says(end)], reward=len(end)) for end in ("a", "aa")]
    for options, shared in (("", 3), ("--whole", 1)):
        (pair,) = prepared(tmp_path, rows, f"--eval_share 0 --kind preference {options}")[0]
        assert (len(pair["prompt"]), pair["chosen"][-1]["content"]) == (shared, "aa")
        assert len(pair["chosen"]) == len(pair["rejected"]) == 4 - shared


def test_what_the_filter_left_out_is_still_noted_after_preparing(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *(line(n) for n in range(5)), b"no json")
    rules = "--input in.jsonl --output filtered.jsonl --max_bad_share 1"
    assert call(FILTER, tmp_path, rules).returncode == 0
    noted = (tmp_path / "rejected.jsonl").read_bytes()
    assert b"not JSON" in noted
    assert call(PREPARE, tmp_path, "--input filtered.jsonl --eval_share 0").returncode == 0
    assert (tmp_path / "rejected.jsonl").read_bytes() == noted
    write(tmp_path / "in.jsonl", *(line(n) for n in range(5)))
    assert call(FILTER, tmp_path, rules).returncode == 0
    assert not (tmp_path / "rejected.jsonl").exists(), "nothing was left out this time"


def test_the_manifest_says_what_the_arguments_of_calls_are(tmp_path: Path) -> None:
    """By it a run that was killed knows whether its rows can be continued."""
    write(tmp_path / "in.jsonl", *(line(n) for n in range(5)))
    for form in ("object", "text"):
        assert call(PREPARE, tmp_path, f"--input in.jsonl --arguments {form}").returncode == 0
        manifest = json.loads((tmp_path / "out.manifest.json").read_text("utf-8"))
        assert manifest["options"]["recipe"]["arguments"] == form
