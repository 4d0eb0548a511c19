"""One NeMo Gym record becomes one conversation, or a reason why it cannot."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Function, Rollout, ToolCall, message
from rl_rollouts.data.same import hash_of_same
from rl_rollouts.errors import Damaged, SetAside, Unusable
from rollouts import Json, calls, encoded, record, result, says, thinks, user


def normal(row: Json, **shape: Any) -> Rollout:
    return normalise(encoded(row), Shape(**shape))


def roles(rollout: Rollout) -> str:
    """First letters of the roles of the whole conversation, the completion after a bar."""
    letters = ["".join(m.role[0] for m in side) for side in (rollout.prompt, rollout.completion)]
    return "|".join(letters)


@pytest.mark.parametrize(
    ("output", "given", "expected"),
    [
        ([says("a")], None, "u|a"),
        ([says("a")], "a bare string", "u|a"),
        ([thinks("t"), says("a")], None, "u|a"),
        ([thinks("t"), thinks("u"), says("a")], None, "u|a"),
        ([says(""), calls("1"), result("1"), says("a")], None, "u|ata"),
        ([calls("1"), says(""), result("1"), says(""), says("a"), says("")], None, "u|ata"),
        ([calls("1"), result("1"), says("a")], None, "u|ata"),
        ([says("I look"), calls("1"), result("1"), says("a")], None, "u|ata"),
        ([calls("1"), calls("2"), result("2"), result("1"), says("a")], None, "u|atta"),
        ([calls("1"), result("1"), calls("2"), result("2")], None, "u|atat"),
        ([calls("1")], None, "u|a"),
        ([calls("1"), thinks("late"), result("1"), thinks("t"), says("a")], None, "u|ata"),
        ([calls(None), result(None), says("a")], None, "u|ata"),
        ([says("a"), user("and?"), says("b")], None, "u|aua"),
        ([{"role": "system", "content": "s"}, user("q"), says("a")], [], "su|a"),
        ([says("a")], [{"role": "developer", "content": "d"}, user("q")], "su|a"),
        ([says("a")], [user("q"), calls("1"), result("1")], "uat|a"),
        ([says("a")], [user("q"), says("early"), user("q2")], "uau|a"),
        ([[user("q"), says("a")], [user("q"), says("a"), user("r"), says("b")]], [], "u|aua"),
    ],
)
def test_turns(output: list[Any], given: Any, expected: str) -> None:
    assert roles(normal(record(output, given))) == expected


def test_parallel_calls_reasoning_and_text_are_one_turn() -> None:
    output = [
        thinks("a", "b"),
        says("I look."),
        calls("1"),
        calls("2", "find", ""),
        result("1"),
        result("2"),
    ]
    turn, first, second = normal(record(output)).completion
    made = [ToolCall(Function("look", {"at": 1}), "1"), ToolCall(Function("find", {}), "2")]
    assert turn == message("assistant", "I look.", "a\nb", tool_calls=made)
    assert first == message("tool", "seen", tool_call_id="1")
    assert second.tool_call_id == "2"


def test_a_message_is_what_chat_templates_read() -> None:
    made = [ToolCall(Function("look", {"at": 1}), "c1")]
    turn = message("assistant", "", "t", tool_calls=made)
    assert json.loads(msgspec.json.encode(turn)) == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "t",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
        ],
    }


def test_instructions_come_first_and_tools_get_chat_form() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": None}
    params = {"instructions": "Hi", "input": "hi", "tools": [tool]}
    rollout = normal(record([says("a")], responses_create_params=params))
    assert [each.text for each in rollout.prompt] == ["Hi", "hi"]
    function = {"name": "look", "parameters": {"type": "object"}}
    assert json.loads(bytes(rollout.tools)) == [{"type": "function", "function": function}]


@pytest.mark.parametrize(
    "silent",
    [
        {"type": "reasoning", "summary": [], "encrypted_content": "xyz"},
        {"type": "reasoning", "summary": None, "content": None},
        {"type": "reasoning", "summary": [ ]},
        thinks(""),
        thinks("", ""),
    ],
)  # fmt: skip
def test_what_is_not_known_stays_absent(silent: Json) -> None:
    rollout = normal(record([silent, says("a")]))
    assert json.loads(msgspec.json.encode(rollout.completion)) == [
        {"role": "assistant", "content": "a"}
    ]
    assert (bytes(rollout.tools), bytes(rollout.ground_truth)) == (b"null", b"null")
    assert (rollout.agent, rollout.turn_rewards, rollout.turn_tokens) == (None, None, None)


@pytest.mark.parametrize("key", ["summary", "content"])
def test_reasoning_stands_in_the_summary_or_in_the_content(key: str) -> None:
    parts = {"content": [], "summary": [], key: [{"type": "reasoning_text", "text": "t"}]}
    turn = normal(record([{"type": "reasoning", **parts}, says("a")])).completion[0]
    assert (turn.thought, turn.text) == ("t", "a")


def test_flags_task_and_metadata() -> None:
    rollout = normal(
        record(
            [says("a")],
            response={"output": [says("a")], "incomplete_details": {"reason": "max_output_tokens"}},
            mask_sample=True,
            _ng_task_index=7,
            _ng_rollout_index=2,
            agent_ref={"type": "t", "name": "solver"},
            expected_answer="4",
        )
    )
    assert (rollout.truncated, rollout.masked, rollout.failed) == (True, True, False)
    assert (rollout.task, rollout.agent, bytes(rollout.ground_truth)) == (
        f"solver:7:{hash_of_same(rollout.prompt):016x}",
        "solver",
        b'"4"',
    )
    assert {key: bytes(value) for key, value in rollout.metadata.items()} == {
        "expected_answer": b'"4"'
    }


@pytest.mark.parametrize(
    ("more", "failed"),
    [
        ({}, False),
        ({"_ng_failure_class": "timeout"}, True),
        ({"response": {"output": [says("a")], "error": {"code": "server_error"}}}, True),
        ({"response": {"output": [says("a")], "error": None, "status": "completed"}}, False),
    ],
)
def test_failures(more: Json, failed: bool) -> None:
    assert normal(record([says("a")], **more)).failed is failed


def test_without_an_index_the_prompt_is_the_task() -> None:
    same = [normal(record([says(text)])).task for text in "ab"]
    parts = normal(record([says("a")], [user([{"type": "input_text", "text": "question"}])]))
    assert same[0] == same[1] == parts.task != normal(record([says("a")], "other")).task
    escaped = [json.dumps(record([says("a")], "é/"), ensure_ascii=how) for how in (True, False)]
    tasks = {normalise(text.encode()).task for text in (*escaped, escaped[0].replace("/", "\\/"))}
    assert len(tasks) == 1


DAMAGED: list[tuple[Json, str]] = [
    (record([{"role": "critic", "content": "x"}]), "the role 'critic'"),
    (record(["text"]), "not an object"),
    (record([says("a")], {"a": 1}), "a conversation is a dict"),
    (record([says("a")], [user(5)]), "content is a int"),
    (record([says("a")], [user({"text": "q"})]), "content is a dict"),
    (record([says("a")], [user([5])]), "a part of content is a int"),
    (record([calls(5)]), "id of a call"),  # type: ignore[arg-type]
    (record([says("a")], reward=True), "the reward is not a number: True"),
    (record([says("a")], reward="1"), "the reward is not a number: '1'"),
    (record([says("a")], reward=[1.0]), "the reward is not a number"),
    (record([says("a")], reward=float("nan")), "the reward is not a number: 'NaN'"),
    (record([says("a")], reward=float("-inf")), "the reward is not a number: '-Infinity'"),
    (record([says("a")], reward=10**400), "the reward is not finite"),
    (
        {"reward": 1.0, "response": {"output": []}},
        "no form that is known: its keys are reward, response",
    ),
    ({"reward": 1.0, "response": "a"}, "no form"),
    ({"reward": 1.0}, "no form that is known: its keys are reward"),
    (
        record([says("a")], responses_create_params={"input": "q", "tools": ["look"]}),
        "a tool is text that is not JSON",
    ),
]
ASIDE: list[tuple[Json, str]] = [
    (record([]), "the model wrote nothing"),
    (record([user("q")]), "the model wrote nothing"),
    (record([says("")]), "the model wrote nothing"),
    (record([thinks("t")]), "cut off while reasoning"),
    (record([says("<think>t")]), "cut off while reasoning"),
    (record([says("a")], []), "the prompt is not in the record"),
    (record([says("a"), says("b")]), "two turns of the model in a row"),
    (record([says("a")], [user("q"), says("b")]), "two turns of the model in a row"),
    (record([calls("1"), says("a")]), "no result"),
    (record([calls("1"), user("r"), says("a")]), "no result"),
    (record([calls("1"), calls("2"), result("1"), says("a")]), "no result"),
    (record([calls("1"), calls("2"), result("1"), calls("3")]), "before a call had its result"),
    (
        record([calls("1"), calls("2"), result("1"), thinks("t"), calls("3")]),
        "before a call had its result",
    ),
    (record([says("a"), result("9")]), "answers no call"),
    (record([calls("1"), result("1"), result("1")]), "answers no call"),
    (record([calls("1", arguments="{not json")]), "are not JSON"),
    (record([calls("1", arguments="[1]")]), "are not an object"),
    (record([calls("1", arguments='{"at": NaN}')]), "are not JSON"),
    (record([calls("1", arguments="[" * 5000)]), "are not JSON"),
    (record([calls("1", name="")]), "has no name"),
    (record([says("a")], [user([{"type": "input_image", "image_url": "x"}])]), "image is not text"),
    (record([says("a")], [user([{"type": "input_file", "file_id": "x"}])]), "input_file is not"),
    (record([{"type": "web_search_call"}]), "web_search_call has no place"),
    (record([[says("a")], [says("b")]]), "do not continue each other"),
    (
        record([says("a")], responses_create_params={"input": "q", "tools": [{"type": "mcp"}]}),
        "a tool of type mcp",
    ),
]


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        *((row, Damaged, reason) for row, reason in DAMAGED),
        *((row, SetAside, reason) for row, reason in ASIDE),
    ],
)
def test_what_cannot_be_used_has_a_reason(row: Json, kind: type[Unusable], reason: str) -> None:
    with pytest.raises(kind, match=reason):
        normal(row)


DEEP = b"[" * 100_000
LINE = encoded(record([says("answer")], note="remark"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"cut", "not JSON"),
        (LINE[:-20], "not JSON"),
        (LINE + LINE, "not JSON"),
        (b"\x00" * 4096, "not JSON"),
        (b"\x00" + LINE, "not JSON"),
        (DEEP, "nested too deeply"),
        (DEEP + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (LINE.replace(b'"remark"', DEEP + b"]" * 100_000), "nested too deeply"),
        *((LINE.replace(b"answer", odd), "not JSON") for odd in (b"\x01", b"\n", b"\\q", b"\x00")),
        *((LINE.replace(b"remark", odd), "not JSON") for odd in (b"\x01", b"\n", b"\\q", b"\x00")),
        *((LINE.replace(at, b"\xff"), "not UTF-8") for at in (b"answer", b"remark", b"question")),
        (LINE.replace(b'"user"', b'"\xff"'), "not UTF-8"),
        *((LINE.replace(at, b"\\ud83d"), "surrogate") for at in (b"answer", b"remark", b"user")),
        (LINE.replace(b"1.0", b"1e999"), "not a number: '1e999'"),
        (LINE.replace(b"1.0", b"1" * 5000), "not JSON"),
        *((scalar, "no JSON object") for scalar in (b"1", b'"text"', b"null", b"true", b"[]")),
        (LINE[:-1] + b', "reward": 0.25}', "reward stands twice"),
        (LINE[:-1] + b', "reward": null}', "reward stands twice"),
        (LINE[:-1] + b', "response": {"output": []}}', "response stands twice"),
        (LINE[:-1] + b', "responses_create_params": {}}', "responses_create_params stands twice"),
        (LINE[:-1] + b', "messages": [], "messages": []}', "messages stands twice"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_damaged(line: bytes, reason: str) -> None:
    with pytest.raises(Damaged, match=reason):
        normalise(line)


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b'"remark"', b"NaN"),
        LINE.replace(b'"remark"', b"[Infinity, -Infinity, 1e999]"),
        LINE.replace(b'"remark"', b"1" * 400),
        LINE.replace(b"remark", "\u2028é\U0001f600".encode()),
        LINE.replace(b"remark", b"\\ud83d\\ude00 \\u0000"),
        b" \t" + LINE.replace(b": ", b" :\t") + b" ",
    ],
)
def test_what_is_unusual_is_read(line: bytes) -> None:
    rollout = normalise(line)
    assert [each.text for each in rollout.completion] == ["answer"]
    assert list(rollout.metadata) == ["note"]


def test_sidecars_and_own_outputs_are_not_rollouts(tmp_path: Path) -> None:
    from rl_rollouts.data.read import find

    for name in ("a", "a_failures", "a_materialized_inputs", "a_reward_profiling", "rejected"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    assert [path.name for path in find([str(tmp_path)])] == ["a.jsonl"]
