"""Plain chats, and the options that say what a rollout should look like."""

import json
from typing import Any

import msgspec
import pytest

from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.data.same import hash_of_same
from rl_rollouts.errors import Damaged, SetAside, Unusable
from rollouts import (
    Json,
    asks,
    calls,
    chat,
    encoded,
    record,
    replies,
    result,
    returns,
    says,
    thinks,
    user,
)


def normal(row: Json, **shape: Any) -> Rollout:
    return normalise(encoded(row), Shape(**shape))


def told(rollout: Rollout) -> list[str]:
    """Each message as its role and text; the completion after a bar."""
    sides = [[f"{m.role}: {m.text}" for m in side] for side in (rollout.prompt, rollout.completion)]
    return [*sides[0], "|", *sides[1]]


def built(rollout: Rollout) -> Any:
    """The completion as it is written."""
    return json.loads(msgspec.json.encode(rollout.completion))


def test_a_chat_with_everything() -> None:
    thought = replies("I look", "c1", reasoning_content="first")
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    row = chat(
        {"role": "developer", "content": "be kind"},
        asks([{"type": "text", "text": "que"}, {"type": "text", "text": "stion"}]),
        thought,
        returns("c1"),
        replies("answer"),
        tools=[tool],
        agent="shop",
        task_id="t7",
        finish_reason="length",
        ground_truth={"a": 1},
        level=3,
    )
    rollout = normal(row)
    assert told(rollout) == [
        "system: be kind", "user: question", "|",
        "assistant: I look", "tool: seen", "assistant: answer",
    ]  # fmt: skip
    function = {"name": "look", "arguments": {"at": 1}}
    assert built(rollout)[0] == {
        "role": "assistant",
        "content": "I look",
        "reasoning_content": "first",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    task = f"shop:t7:{hash_of_same(rollout.prompt):016x}"
    assert (rollout.task, rollout.agent, rollout.truncated) == (task, "shop", True)
    assert json.loads(bytes(rollout.tools)) == [tool]
    assert json.loads(bytes(rollout.ground_truth)) == {"a": 1}
    assert bytes(rollout.metadata["level"]) == b"3"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (chat(asks("q"), replies("a")), ["user: q", "|", "assistant: a"]),
        (chat(asks("q"), replies(None, "c"), returns("c")),
            ["user: q", "|", "assistant: ", "tool: seen"]),
        (chat(asks("q"), replies("", "c")), ["user: q", "|", "assistant: "]),
        (chat(asks("q"), replies("a"), asks("r"), replies("b")),
            ["user: q", "|", "assistant: a", "user: r", "assistant: b"]),
        ({"prompt": "q", "response": "a"}, ["user: q", "|", "assistant: a"]),
        ({"prompt": "q", "completion": "a"}, ["user: q", "|", "assistant: a"]),
        ({"prompt": "q", "completion": "a", "response": "other"}, ["user: q", "|", "assistant: a"]),
        ({"prompt": [asks("q")], "response": replies("a")}, ["user: q", "|", "assistant: a"]),
        ({"prompt": [asks("q")], "completion": [replies("a")]}, ["user: q", "|", "assistant: a"]),
        ({"prompt": [asks("q"), replies("x"), asks("r")], "completion": [replies("a")]},
            ["user: q", "assistant: x", "user: r", "|", "assistant: a"]),
        ({"prompt": [asks("q")], "completion": [replies("a", "c"), returns("c"), replies("b")]},
            ["user: q", "|", "assistant: a", "tool: seen", "assistant: b"]),
    ],
)  # fmt: skip
def test_forms_of_chats(row: Json, expected: list[str]) -> None:
    assert told(normal({"reward": 1, **row})) == expected


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        (chat(), SetAside, "the prompt is not in the record"),
        (chat(replies("a")), SetAside, "prompt is not in the record"),
        (chat(asks(), replies("")), SetAside, "wrote nothing"),
        (chat(asks(), replies("a"), replies("b")), SetAside, "two turns"),
        (chat(asks(), replies("a", "c"), replies("b")), SetAside, "no result"),
        (chat(asks(), replies("a", "c"), replies(None, "d")), SetAside, "no result"),
        (chat(asks(), replies("a", "c"), asks("r")), SetAside, "no result"),
        (chat(asks(), replies("a"), returns("c")), SetAside, "answers no call"),
        (chat(asks(), replies(None, reasoning_content="t")), SetAside, "while reasoning"),
        (chat(asks(), replies("a", tool_calls=5)), Damaged, "tool_calls is not a list"),
        (chat(asks(), replies("a", tool_calls=[5])), Damaged, "a tool call is not an object"),
        (chat(asks(), replies("a", tool_calls=[{"function": 5}])), Damaged, "is not an object"),
        (chat(asks(), replies("a", tool_calls=[{"function": {}}])), SetAside, "has no name"),
        (chat(asks(), replies(5)), Damaged, "content is a int"),
        (chat(asks(), replies("a", reasoning_content=[5])), SetAside, "reasoning in a form"),
        ({"messages": ["text"], "reward": 1}, Damaged, "a message is a str"),
        ({"messages": {"a": 1}, "reward": 1}, Damaged, "a conversation is a dict"),
        ({"messages": "text", "reward": 1}, Damaged, "messages is text"),
        ({"response": "a", "reward": 1}, Damaged, "no form that is known"),
        ({"prompt": "q", "response": "", "reward": 1}, SetAside, "wrote nothing"),
        ({"prompt": [], "response": "a", "reward": 1}, SetAside, "prompt is not in the record"),
        ({"prompt": 5, "response": "a", "reward": 1}, Damaged, "a conversation is a"),
        (b'{"prompt": "q", "response": "a", "reward": 1, "prompt": "q"}', Damaged,
            "prompt stands twice"),
    ],
)  # fmt: skip
def test_chats_that_cannot_be_used(row: Json | bytes, kind: type[Unusable], reason: str) -> None:
    with pytest.raises(kind, match=reason):
        normalise(encoded(row))


THOUGHTS = [
    record([thinks("t"), says("a")]),
    record([says("<think>t</think>a")]),
    record([says("<think>\nt\n</think>\n\na")]),
    record([says("t</think>a")]),
    record([says(" \n<think>t</think>\na")]),
    chat(asks(), replies("a", reasoning_content="t")),
    chat(asks(), replies("<think>t</think>a")),
    {"prompt": "question", "response": "<think>t</think>a", "reward": 1},
    encoded(record([says("<think>t</think>a")])).replace(b"<", b"\\u003c"),
    encoded(record([says("<think>t</think>a")])).replace(b"/", b"\\/"),
]  # fmt: skip


@pytest.mark.parametrize("row", THOUGHTS)
@pytest.mark.parametrize(
    ("where", "turn"),
    [
        ("keep", {"content": "a", "reasoning_content": "t"}),
        ("tags", {"content": "<think>\nt\n</think>\n\na"}),
        ("drop", {"content": "a"}),
    ],
)
def test_reasoning_goes_where_it_is_wanted(row: Json | bytes, where: Any, turn: Json) -> None:
    rollout = normalise(encoded(row), Shape(reasoning=where))
    assert built(rollout) == [{"role": "assistant", **turn}]


@pytest.mark.parametrize(
    "text",
    [
        "what does <think> mean?",
        "<think>t</think>a<think>u</think>b",
        "a</think>b</think>c",
        "I say <think>t</think>a",
    ],
)
def test_tags_that_are_no_reasoning_stay(text: str) -> None:
    for where in ("keep", "drop"):
        assert normal(record([says(text)]), reasoning=where).completion[0].text == text


ADDRESS = "https://example.org/a.png"
IMAGE = {"type": "image_url", "image_url": {"url": ADDRESS}}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": ADDRESS, "detail": "auto"},
        {"type": "image_url", "image_url": {"url": ADDRESS}},
        {"type": "image_url", "image_url": ADDRESS},
        {"type": "image", "image": ADDRESS},
        {"type": "image", "url": ADDRESS},
    ],
)
@pytest.mark.parametrize("form", ["gym", "chat", "result"])
def test_images_are_set_aside_or_kept_as_references(part: Json, form: str) -> None:
    content = [{"type": "input_text" if form == "gym" else "text", "text": "see"}, part]
    row = {
        "gym": record([says("a")], [user(content)]),
        "chat": chat(asks(content), replies("a")),
        "result": record([calls("1"), result("1", content), says("a")], [user("q")]),
    }[form]
    with pytest.raises(SetAside, match="--images keep"):
        normal(row)
    rollout = normal(row, images="keep")
    seen = rollout.completion[1] if form == "result" else rollout.prompt[0]
    assert json.loads(bytes(seen.content)) == [{"type": "text", "text": "see"}, IMAGE]
    assert seen.text == "see"


@pytest.mark.parametrize("image", [{"type": "input_image", "file_id": "f"}, {"type": "image"}])
def test_images_without_an_address_are_set_aside(image: Json) -> None:
    with pytest.raises(SetAside, match="no address"):
        normal(record([says("a")], [user([image])]), images="keep")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([says("a"), says("b")], ["assistant: a"]),
        ([says("a"), user("q"), thinks("t")], ["assistant: a"]),
        ([says("a"), user("q"), user("r"), says("<think>t")], ["assistant: a"]),
        ([calls("1"), result("1"), thinks("t")], ["assistant: ", "tool: seen"]),
        ([calls("1"), result("1"), result("9")], ["assistant: ", "tool: seen"]),
        ([says("a"), calls("1"), user("q"), says("b")], ["assistant: a"]),
        ([says("a"), calls("1"), says("b")], ["assistant: a"]),
        ([calls("1"), calls("2"), result("1"), thinks("t"), calls("3")],
            ["assistant: ", "tool: seen"]),
        ([thinks("t")], None),
        ([result("9"), says("a")], None),
    ],
)  # fmt: skip
def test_what_stands_before_a_gap_can_be_kept(
    output: list[Json], expected: list[str] | None
) -> None:
    row = record(output, [user("q")])
    with pytest.raises(SetAside):
        normal(row)
    if expected is None:
        with pytest.raises(SetAside):
            normal(row, incomplete="cut")
        return
    rollout = normal(row, incomplete="cut")
    assert told(rollout) == ["user: q", "|", *expected]


@pytest.mark.parametrize(
    "given", [[user("q"), calls("1")], [user("q"), result("9")], [user("q"), thinks("t")]]
)
def test_a_gap_in_the_prompt_leaves_nothing_to_keep(given: list[Json]) -> None:
    with pytest.raises(SetAside):
        normal(record([says("a")], given), incomplete="cut")


IDS = {
    "prompt_token_ids": [1, 2],
    "generation_token_ids": [3, 4],
    "generation_log_probs": [-0.5, -1],
}


@pytest.mark.parametrize(
    ("output", "whole"),
    [
        ([{**says("a"), **IDS}], 1),
        ([thinks("t"), {**says("a"), **IDS}], 1),
        ([{**calls("1"), **IDS}, result("1"), {**says("a"), **IDS}], 2),
        ([calls("1"), {**calls("2"), **IDS}, result("1"), result("2"), {**says("a"), **IDS}], 2),
        ([{**calls("1"), **IDS}, result("1"), says("a")], 0),
        ([{**says("a"), **IDS, "generation_log_probs": [-0.5]}], 0),
        ([{**says("a"), **IDS, "generation_token_ids": []}], 0),
        ([{**says("a"), **IDS, "prompt_token_ids": None}], 0),
        ([{**says("a"), **IDS, "generation_log_probs": [-0.5, float("nan")]}], 0),
        ([{**says("a"), **IDS, "generation_token_ids": [3, "4"]}], 0),
        ([{**says("a"), **IDS, "generation_token_ids": 5}], 0),
        ([{**says("a"), "generation_token_ids": [3]}], 0),
        ([{**says("a"), **IDS, "reasoning_content": "t"}], 1),
        ([{"role": "assistant", "content": "a", **IDS}], 1),
    ],
)
def test_token_ids_are_carried_when_they_are_whole(output: list[Json], whole: int) -> None:
    tokens = normal(record(output), tokens=True).turn_tokens
    assert len(tokens or []) == whole
    for each in tokens or []:
        assert (each.prompt, each.generated, each.logprobs) == ([1, 2], [3, 4], [-0.5, -1])
    assert normal(record(output)).turn_tokens is None


TWO = [calls("1"), result("1"), says("a")]


@pytest.mark.parametrize(
    ("row", "rewards"),
    [
        (record(TWO, turn_rewards=[0.25, 1]), [0.25, 1.0]),
        (record([{**calls("1"), "reward": 0.25}, result("1"), says("a")]), [0.25, 0.0]),
        (chat(asks(), replies("a", reward=0.5), asks("r"), replies("b", reward=-1)), [0.5, -1.0]),
        (chat(asks(), replies("a"), turn_rewards=[2]), [2.0]),
        (record(TWO), None),
        (record(TWO, turn_rewards=[1]), None),
        (record(TWO, turn_rewards=[1, True]), None),
        (record(TWO, turn_rewards=[1, "1"]), None),
        (record(TWO, turn_rewards=[1, float("inf")]), None),
        (record(TWO, turn_rewards=[1, 10**400]), None),
        (record(TWO, turn_rewards={"a": 1}), None),
        (record([{**calls("1"), "reward": ""}, result("1"), says("a")]), None),
        (record([{**calls("1"), "reward": 10**400}, result("1"), says("a")]), None),
    ],
)
def test_rewards_of_turns(row: Json, rewards: list[float] | None) -> None:
    assert normal(row).turn_rewards == rewards
