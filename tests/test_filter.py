"""filter_rollouts.py: rules over one rollout, and over the rollouts of a task."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import xxhash

from inside import counted, inside, outputs
from rollouts import Json, asks, calls, chat, read, record, replies, result, says, thinks, write
from scripts import FILTER, call, counts, line, total

CUT = {"output": [says("a")], "incomplete_details": {"reason": "max_output_tokens"}}
CANDIDATES = [
    line(0, reward=0.2),
    line(1, reward=0.7),
    line(2, reward=1, agent_ref={"name": "math"}),
    line(3, reward=-1, agent_ref={"name": "code"}),
    line(4, response=CUT),
    line(5, mask_sample=True),
    line(6, _ng_failure_class="timeout"),
]


def kept(folder: Path, rows: list[Any], rules: str) -> list[Any]:
    """The rows that stay, each found by its place among those given."""
    write(folder / "in.jsonl", *rows)
    found = counted(folder, inside(FILTER, folder, f"--input in.jsonl {rules}"))
    if found is None:
        return []
    lines = (folder / "in.jsonl").read_bytes().splitlines()
    left = (folder / "out.jsonl").read_bytes().splitlines()
    assert found["kept"] == len(left)
    return [lines.index(each) for each in left]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("--min_reward 0.7", [1, 2]),
        ("--max_reward 0.2", [0, 3]),
        ("--min_reward -1 --max_reward 0.5", [0, 3]),
        ("--min_reward 0.7 --max_reward 0.7", [1]),
        ("--agents math code", [2, 3]),
        ("--agents nobody", []),
        ("--keep_truncated", [0, 1, 2, 3, 4]),
        ("--keep_masked --keep_failed", [0, 1, 2, 3, 5, 6]),
        ("--keep_masked --keep_failed --keep_truncated", [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_rules_over_rewards_agents_and_flags(
    tmp_path: Path, rules: str, expected: list[int]
) -> None:
    assert kept(tmp_path, CANDIDATES, rules) == expected


def test_the_table_says_how_many_each_rule_removed(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *CANDIDATES, b"cut", record([calls("1"), says("a")]))
    rules = "--input in.jsonl --min_reward 0.5 --max_bad_share 0.5"
    done = call(FILTER, tmp_path, rules)
    assert counts(tmp_path, done) == {
        "read": 9,
        "rejected": {"the line is not JSON": 1},
        "set aside": {"a call has no result before the conversation goes on": 1},
        "removed": {
            "reward below 0.5": 2,
            "masked by the environment": 1,
            "failed in the environment": 1,
            "truncated at the token limit": 1,
        },
        "kept": 2,
    }
    for words in ("         9  read", "             2  reward below 0.5", "         2  kept"):
        assert f"{words}\n" in done.stdout


LONG = [calls("1", "find", '{"for": "abcd"}'), result("1", "found"), says("<think>so</think>end")]
TOOLS = [{"type": "function", "name": "find", "parameters": {}}]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("--min_turns 2", [1, 2]),
        ("--max_turns 1", [0]),
        ("--min_turns 2 --max_turns 2", [1, 2]),
        ("--max_chars 9", [0]),
        ("--max_chars 8", []),
        ("--max_chars 36", [0, 1]),
        ("--max_chars 35", [0]),
        ("--max_chars 200", [0, 1, 2]),
    ],
)
def test_rules_over_turns_and_length(tmp_path: Path, rules: str, expected: list[int]) -> None:
    with_tools = {"input": "question", "tools": TOOLS}
    rows = [
        record([says("a")]),  # question, a
        record(LONG),  # question, find, {"for":"abcd"}, found, so, end
        record(LONG, responses_create_params=with_tools),
    ]
    assert kept(tmp_path, rows, rules) == expected


def same(text: str, ids: str = "c", **more: Any) -> Json:
    output = [calls(ids), result(ids, "seen"), says(text)]
    return record(output, "question", **more)


REPEATED = [
    same("The end"),
    same("The end", "other ids", reward=0.5),
    same("the \n END"),
    same("another end"),
    record([thinks("t"), *same("The end")["response"]["output"]], "question"),
    record(same("The end")["response"]["output"], "question "),
    chat(asks(), replies("", "c"), {"role": "tool", "tool_call_id": "c", "content": "seen"},
        replies("The end")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "groups"),
    [
        ("", [[0], [1], [2], [3], [4], [5], [6]]),
        ("--duplicates exact", [[0, 1, 6], [2], [3], [4], [5]]),
        ("--duplicates normalised", [[0, 1, 2, 6], [3], [4], [5]]),
    ],
)
def test_one_of_the_same_conversations_stays(
    tmp_path: Path, rules: str, groups: list[list[int]]
) -> None:
    left = kept(tmp_path, REPEATED, rules)
    assert [sum(each in group for each in left) for group in groups] == [1] * len(groups)
    other = [REPEATED[::-1].index(REPEATED[each]) for each in left]
    assert sorted(kept(tmp_path, REPEATED[::-1], rules)) == sorted(other)


def attempts(rewards: Mapping[str, Sequence[float]], **more: Any) -> list[Json]:
    return [
        record([says(f"{task} {number}")], task, reward=reward, **more)
        for task, earned in rewards.items()
        for number, reward in enumerate(earned)
    ]


def by_task(folder: Path) -> Counter[str]:
    rows = read(folder / "out.jsonl")
    return Counter(row["responses_create_params"]["input"] for row in rows)


RATES = {"never": [0, 0, 0, 0], "rarely": [1, 0, 0, 0], "half": [1, 1, 0, 0], "always": [1] * 4}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("--min_pass_rate 0.1", {"rarely": 4, "half": 4, "always": 4}),
        ("--max_pass_rate 0.9", {"never": 4, "rarely": 4, "half": 4}),
        ("--min_pass_rate 0.25 --max_pass_rate 0.5", {"rarely": 4, "half": 4}),
        ("--min_pass_rate 0.25 --max_pass_rate 0.25", {"rarely": 4}),
        ("--min_pass_rate 1", {"always": 4}),
        ("--max_pass_rate 0.3 --solved_from 1", {"never": 4, "rarely": 4}),
        ("--max_pass_rate 0 --solved_from 2", dict.fromkeys(RATES, 4)),
        ("--min_pass_rate 0.2 --max_pass_rate 0.3 --min_reward 0.5", {"rarely": 1}),
        ("--max_pass_rate 0.6 --max_per_task 2", {"never": 2, "rarely": 2, "half": 2}),
        ("--max_per_task 3", dict.fromkeys(RATES, 3)),
        ("--max_per_task 9", dict.fromkeys(RATES, 4)),
    ],
)
def test_rules_over_tasks(tmp_path: Path, rules: str, expected: dict[str, int]) -> None:
    """The pass rate is that of the environment, whatever other rules remove."""
    write(tmp_path / "in.jsonl", *attempts(RATES))
    found = counted(tmp_path, inside(FILTER, tmp_path, f"--input in.jsonl {rules}"))
    assert found and by_task(tmp_path) == expected
    assert found["kept"] == sum(expected.values()) == 16 - total(found["removed"])


def test_what_says_nothing_about_the_model_is_no_part_of_the_pass_rate(tmp_path: Path) -> None:
    """Failures and masked rollouts; those that were cut off at the limit did not solve it."""
    failed = attempts({"a": [0], "b": [0]}, _ng_failure_class="timeout")
    masked = attempts({"a": [0], "b": [0]}, mask_sample=True)
    cut = [{**each, "response": CUT} for each in attempts({"b": [0]})]
    rows = [*attempts({"a": [1, 1], "b": [1]}), *failed, *masked, *cut]
    write(tmp_path / "in.jsonl", *rows)
    arguments = "--input in.jsonl --min_pass_rate 0.5 --max_pass_rate 0.5"
    assert counted(tmp_path, inside(FILTER, tmp_path, arguments))
    assert by_task(tmp_path) == {"b": 1}


def test_rollouts_that_stay_are_drawn_whatever_their_reward(tmp_path: Path) -> None:
    """So that the rewards of many tasks keep their proportions."""
    rows = attempts({f"task {number}": [0, 0, 0, 1] for number in range(300)})
    write(tmp_path / "in.jsonl", *rows)
    assert counted(tmp_path, inside(FILTER, tmp_path, "--input in.jsonl --max_per_task 1"))
    left = read(tmp_path / "out.jsonl")
    assert len(left) == 300 and 45 < sum(row["reward"] for row in left) < 105


LEVELS = [
    *(line(n, level="easy", agent_ref={"name": "math"}) for n in range(30)),
    *(line(n, level="hard", agent_ref={"name": "code"}) for n in range(30, 40)),
    *(line(n, level="hard") for n in range(40, 45)),
]


@pytest.mark.parametrize(
    ("rules", "levels", "agents"),
    [
        ("--balance level", {"easy": 15, "hard": 15}, None),
        ("--balance agent", None, {"math": 5, "code": 5, None: 5}),
        ("--balance level --max_per_category 3", {"easy": 3, "hard": 3}, None),
        ("--balance level --max_per_category 20", {"easy": 20, "hard": 15}, None),
        ("--balance agent --agents math code", None, {"math": 10, "code": 10}),
        ("--balance nothing", {"easy": 30, "hard": 15}, None),
    ],
)
def test_balance(
    tmp_path: Path, rules: str, levels: dict[str, int] | None, agents: dict[Any, int] | None
) -> None:
    left = kept(tmp_path, LEVELS, rules)
    rows = [json.loads(LEVELS[at]) for at in left]
    assert left == sorted(left)
    if levels:
        assert Counter(row["level"] for row in rows) == levels
    if agents:
        assert Counter(row.get("agent_ref", {}).get("name") for row in rows) == agents
    mixed = random.Random(1).sample(LEVELS, len(LEVELS))
    assert {mixed[at] for at in kept(tmp_path, mixed, rules)} == {LEVELS[at] for at in left}


def test_all_rules_at_once(tmp_path: Path) -> None:
    rows = attempts({f"task {n}": [n % 2, 1, 1, 0.25 * (n % 5)] for n in range(60)}, level="a")
    rules = (
        "--min_reward 0.1 --max_turns 5 --duplicates normalised --max_per_task 2 --balance level "
        "--max_per_category 50 --min_pass_rate 0.5 --max_pass_rate 0.9 --max_chars 1000"
    )
    left = kept(tmp_path, rows, rules)
    assert len(left) == 50
    assert max(by_task(tmp_path).values()) == 2


def test_a_manifest_says_what_was_done(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *CANDIDATES)
    (tmp_path / "rejected.jsonl").write_text("of an earlier run\n")
    call(FILTER, tmp_path, "--input in.jsonl --min_reward 0.5 --duplicates exact")
    assert not (tmp_path / "rejected.jsonl").exists()
    manifest = read_manifest(tmp_path)
    data = (tmp_path / "in.jsonl").read_bytes()
    checksum = f"XXH3_128:{xxhash.xxh3_128_hexdigest(data)}"
    assert manifest["inputs"] == [{"file": "in.jsonl", "bytes": len(data), "checksum": checksum}]
    assert (manifest["format"], manifest["output"]) == (2, "out.jsonl")
    assert manifest["options"]["rules"]["min_reward"] == 0.5
    assert manifest["options"]["task_rules"]["duplicates"] == "exact"


def read_manifest(folder: Path) -> Json:
    found: Json = json.loads((folder / "out.manifest.json").read_text("utf-8"))
    return found


def test_order_is_that_of_the_input(tmp_path: Path) -> None:
    rows = [line(number, reward=number % 2) for number in range(200)]
    random.Random(1).shuffle(rows)
    for rules in ("", "--max_per_task 1", "--balance agent", "--duplicates exact"):
        assert kept(tmp_path, rows, rules) == list(range(200))
    assert outputs(tmp_path, ordered=True)["out.jsonl"] == rows
