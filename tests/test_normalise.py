"""One record becomes one conversation: nothing lost, nothing invented."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT, SAMPLE
from dataprep.errors import Unusable
from dataprep.normalise import normalise
from dataprep.read import parse
from dataprep.rollout import Message, Rollout, ToolCall, chat
from rollouts import Json, calls, record, result, says, thinks, user

REAL = ROOT.parent / "shared" / "rollouts"


def roles(output: list[Any], given: Any = None) -> str:
    """First letters of the roles of the whole conversation, the completion after a bar."""
    rollout = normalise(record(output, given))
    letters = ["".join(m.role[0] for m in side) for side in (rollout.prompt, rollout.completion)]
    return "|".join(letters)


@pytest.mark.parametrize(
    ("output", "given", "expected"),
    [
        ([says("a")], None, "u|a"),
        ([says("a")], "a bare string", "u|a"),
        ([thinks("t"), says("a")], None, "u|a"),
        ([calls("1"), result("1"), says("a")], None, "u|ata"),
        ([says("I look"), calls("1"), result("1"), says("a")], None, "u|ata"),
        ([calls("1"), calls("2"), result("2"), result("1"), says("a")], None, "u|atta"),
        ([calls("1"), result("1"), calls("2"), result("2")], None, "u|atat"),
        ([calls("1")], None, "u|a"),
        ([calls("1"), thinks("late"), result("1"), thinks("t"), says("a")], None, "u|ata"),
        ([says("a"), user("and?"), says("b")], None, "u|aua"),
        ([{"role": "system", "content": "s"}, user("q"), says("a")], [], "su|a"),
        ([says("a")], [{"role": "developer", "content": "d"}, user("q")], "su|a"),
        ([says("a")], [user("q"), calls("1"), result("1")], "uat|a"),
        ([says("a")], [user("q"), says("early"), user("q2")], "uau|a"),
        ([[user("q"), says("a")], [user("q"), says("a"), user("r"), says("b")]], [], "u|aua"),
    ],
)
def test_turns(output: list[Any], given: Any, expected: str) -> None:
    assert roles(output, given) == expected


def test_parallel_calls_reasoning_and_text_are_one_turn() -> None:
    output = [
        thinks("a", "b"),
        says("I look."),
        calls("1"),
        calls("2", "find", ""),
        result("1"),
        result("2"),
    ]
    turn, first, second = normalise(record(output)).completion
    assert turn == Message(
        role="assistant",
        content="I look.",
        reasoning="a\nb",
        tool_calls=[ToolCall("look", {"at": 1}, "1"), ToolCall("find", {}, "2")],
    )
    assert first == Message("tool", "seen", tool_call_id="1")
    assert second.tool_call_id == "2"


def test_chat_form_is_what_templates_read() -> None:
    turn = Message("assistant", reasoning="t", tool_calls=[ToolCall("look", {"at": 1}, "c1")])
    assert chat(turn) == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "t",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
        ],
    }


def test_instructions_come_first_and_tools_get_chat_form() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": None}
    params = {"instructions": "be kind", "input": "hi", "tools": [tool]}
    rollout = normalise(record([says("a")], responses_create_params=params))
    assert [message.content for message in rollout.prompt] == ["be kind", "hi"]
    function = {"name": "look", "parameters": {"type": "object"}}
    assert rollout.tools == [{"type": "function", "function": function}]


def test_what_is_not_known_stays_absent() -> None:
    rollout = normalise(record([says("a")]))
    assert (rollout.tools, rollout.agent, rollout.ground_truth) == (None, None, None)
    encrypted = {"type": "reasoning", "summary": [], "encrypted_content": "xyz"}
    assert normalise(record([encrypted, says("a")])).completion[0].reasoning is None


def test_flags_task_and_metadata() -> None:
    rollout = normalise(
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
    assert (rollout.task, rollout.agent, rollout.ground_truth) == ("solver:7", "solver", "4")
    assert rollout.metadata == {"mask_sample": True, "expected_answer": "4"}


def test_without_an_index_the_prompt_is_the_task() -> None:
    same = normalise(record([says("a")])).task, normalise(record([says("b")])).task
    assert same[0] == same[1] != normalise(record([says("a")], "other")).task


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (record([]), "the model wrote nothing"),
        (record([user("q")]), "the model wrote nothing"),
        (record([says("")]), "the model wrote nothing"),
        (record([thinks("t")]), "cut off while reasoning"),
        (record([says("a")], []), "the prompt is not in the record"),
        (record([says("a"), says("b")]), "two turns of the model in a row"),
        (record([calls("1"), says("a")]), "no result"),
        (record([calls("1"), calls("2"), result("1"), calls("3")]), "before a call had its result"),
        (record([says("a"), result("9")]), "answers no call"),
        (record([calls("1", arguments="{not json")]), "are not JSON"),
        (record([calls("1", arguments="[1]")]), "are not an object"),
        (record([calls("1", arguments="[" * 5000)]), "are not JSON"),
        (record([calls("1", name="")]), "has no name"),
        (record([says("a")], [user([{"type": "input_image", "image_url": "x"}])]), "input_image"),
        (record([{"type": "web_search_call"}]), "web_search_call has no place"),
        (record([{"role": "critic", "content": "x"}]), "the role 'critic'"),
        (record(["text"]), "not an object"),
        (record([[says("a")], [says("b")]]), "do not continue each other"),
        (record([says("a")], {"a": 1}), "a conversation is a dict"),
        (record([says("a")], reward=None), "no reward"),
        (record([says("a")], reward=True), "the reward True is not a number"),
        (record([says("a")], reward="1"), "the reward '1' is not a number"),
        (record([says("a")], reward=float("nan")), "the reward is nan"),
        (record([says("a")], reward=float("-inf")), "the reward is -inf"),
        ({"reward": 1.0, "response": {"output": []}}, "no responses_create_params"),
        ({"reward": 1.0, "responses_create_params": {"input": "q"}}, "no response"),
        (
            record([says("a")], responses_create_params={"input": "q", "tools": [{"type": "mcp"}]}),
            "a tool of type mcp",
        ),
    ],
)
def test_what_cannot_be_used_has_a_reason(row: Json, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        normalise(row)


def texts(items: list[Any]) -> Iterator[str]:
    """All text in Responses items, found by a walk that knows nothing of the code under test."""
    for item in items:
        fields = {"content": item} if isinstance(item, str) else item
        for key in ("content", "summary", "output", "arguments"):
            value = fields.get(key)
            if isinstance(value, str):
                yield value
            for part in value if isinstance(value, list) else []:
                yield part.get("text") or part.get("refusal") or ""


def flat(rollout: Rollout) -> str:
    """All text of a rollout, calls as canonical JSON."""
    conversation = [*rollout.prompt, *rollout.completion]
    parts = [part for m in conversation for part in (m.content, m.reasoning) if part]
    arguments = [call.arguments for m in conversation for call in m.tool_calls]
    return "\n".join([*parts, *(json.dumps(each, sort_keys=True) for each in arguments)])


def check_conversation(row: Json, rollout: Rollout) -> None:
    """No text lost; roles alternate; each result answers a call of the turn before it."""
    everything = flat(rollout)
    given, output = row["responses_create_params"].get("input"), row["response"]["output"]
    snapshot = output[-1] if output and isinstance(output[-1], list) else output
    for text in texts([*([given] if isinstance(given, str) else given or []), *snapshot]):
        assert text in everything or canonical(text) in everything
    pending: list[str | None] = []
    previous = ""
    for message in [*rollout.prompt, *rollout.completion]:
        if message.role == "tool":
            assert message.tool_call_id in pending
            pending.remove(message.tool_call_id)
        else:
            assert not pending
            assert not message.role == previous == "assistant"
        pending += [call.id for call in message.tool_calls]
        previous = message.role
    assert rollout.prompt and rollout.completion[0].role == "assistant"


def canonical(text: str) -> str:
    try:
        return json.dumps(json.loads(text) if text else {}, sort_keys=True)
    except ValueError:
        return text


def test_real_files_are_read_whole() -> None:
    """Every line of every file is used or has a reason; the sample is always there."""
    used = rejected = 0
    for file in [SAMPLE, *sorted(REAL.glob("*.jsonl"))]:
        for line in file.read_bytes().splitlines():
            try:
                row = parse(line)
                rollout = normalise(row)
            except Unusable as reason:
                assert str(reason)
                rejected += 1
            else:
                check_conversation(row, rollout)
                used += 1
    assert used >= 72
    assert used > 4 * rejected


TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A legal output: turns of the model, with what it saw in between."""
    items: list[Json] = []
    count = draw(st.integers(1, 4))
    for turn in range(count):
        if draw(st.booleans()):
            items.append(thinks(draw(TEXT)))
        ids = [f"{turn}-{call}" for call in range(draw(st.integers(0, 3)))]
        if not ids or draw(st.booleans()):
            items.append(says(draw(TEXT)))
        arguments = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none())).map(json.dumps)
        items += [calls(name, arguments=draw(arguments)) for name in ids]
        items += [result(name, draw(TEXT)) for name in draw(st.permutations(ids))]
        if not ids and turn + 1 < count:
            items.append(user(draw(TEXT)))
    return items


@given(turns(), TEXT)
def test_any_legal_conversation_survives(output: list[Json], question: str) -> None:
    row = record(output, question)
    check_conversation(row, normalise(row))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_damage_gets_a_reason_not_a_crash(data: st.DataObject) -> None:
    row = record([thinks("t"), calls("1"), result("1"), says("a")], [user("q")])
    where: Any = row
    while isinstance(where, dict | list) and where:
        key = data.draw(
            st.sampled_from(list(where) if isinstance(where, dict) else range(len(where)))
        )
        if data.draw(st.booleans()) or not isinstance(where[key], dict | list):
            where[key] = data.draw(JSON_VALUES)
            break
        where = where[key]
    try:
        normalise(row)
    except Unusable as reason:
        assert str(reason)


def test_sidecars_and_own_outputs_are_not_rollouts(tmp_path: Path) -> None:
    from dataprep.read import find

    for name in ("a", "a_failures", "a_materialized_inputs", "a_reward_profiling", "rejected"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    assert [path.name for path in find([str(tmp_path)])] == ["a.jsonl"]
