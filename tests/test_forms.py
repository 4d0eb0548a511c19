"""Records in the forms that people have: read by their shape, or refused by the name of it."""

import json
from typing import Any

import pytest

from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import Damaged, SetAside, Unusable

ASKED = {"role": "user", "content": "Price of soap?"}
SAID = {"role": "assistant", "content": "2 euro."}
OTHER = {"role": "user", "content": "?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
TOOL = {"name": "look_up", "description": "d", "parameters": {"type": "object", "properties": {}}}


def read(shape: Shape = Shape(), /, **record: Any) -> Rollout:  # noqa: B008 (frozen)
    return normalise(json.dumps(record).encode(), shape)


def texts(rollout: Rollout) -> list[tuple[str, str]]:
    return [(each.role, each.text) for each in (*rollout.prompt, *rollout.completion)]


TALK = [("user", "Price of soap?"), ("assistant", "2 euro.")]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [ASKED, SAID]},
        {"messages": json.dumps([ASKED, SAID])},
        {"prompt": json.dumps([ASKED]), "completion": json.dumps([SAID])},
        {"prompt": json.dumps(ASKED), "response": SAID},
        {"prompt": "Price of soap?", "completion": SAID},
        {"prompt": json.dumps([dict(reversed(ASKED.items()))]), "response": "2 euro."},
        {"prompt": [ASKED], "response": {"choices": [{"index": 0, "message": SAID}]}},
        {"instruction": "Price of soap?", "input": "", "output": "2 euro."},
        {"question": "Price of soap?", "response": "2 euro.", "answer": "2"},
        {"conversations": [{"from": "human", "value": "Price of soap?"},
            {"from": "gpt", "value": "2 euro."}]},
        {"conversations": json.dumps([ASKED, SAID])},
        {"responses_create_params": {"input": json.dumps([ASKED])},
            "response": {"output": [{"type": "message", **SAID,
                "content": [{"type": "output_text", "text": "2 euro."}]}]}},
        {"responses_create_params": json.dumps({"input": "Price of soap?"}),
            "response": json.dumps({"output": [{"type": "message", **SAID}]})},
    ],
)  # fmt: skip
def test_one_talk_in_many_forms(record: dict[str, Any]) -> None:
    rollout = read(**record)
    assert texts(rollout) == TALK
    assert (len(rollout.prompt), rollout.reward) == (1, None)


@pytest.mark.parametrize(
    ("record", "truth"),
    [
        ({"question": "Price of soap?", "answer": "2"}, "2"),
        ({"prompt": "Price of soap?", "ground_truth": [2]}, [2]),
        ({"prompt": [ASKED], "answer": "2"}, "2"),
        ({"responses_create_params": {"input": [ASKED]}, "expected_answer": "2"}, "2"),
        ({"messages": [ASKED]}, None),
    ],
)
def test_what_has_no_response_is_a_prompt(record: dict[str, Any], truth: Any) -> None:
    rollout = read(**record)
    assert texts(rollout) == TALK[:1] and not rollout.completion
    assert rollout.truth == truth


@pytest.mark.parametrize(
    "pair",
    [
        {"prompt": "Price of soap?", "chosen": "2 euro.", "rejected": "5."},
        {"prompt": [ASKED], "chosen": [SAID], "rejected": [{**SAID, "content": "5."}]},
        {"chosen": [ASKED, SAID], "rejected": [ASKED, {**SAID, "content": "5."}]},
        {"prompt": "Price of soap?", "chosen": json.dumps([SAID]), "rejected": "5."},
        {"chosen": "\n\nHuman: Price of soap?\n\nAssistant: 2 euro.",
            "rejected": "\n\nHuman: Price of soap?\n\nAssistant: 5."},
    ],
)  # fmt: skip
def test_pairs(pair: dict[str, Any]) -> None:
    chosen = read(**pair)
    assert texts(chosen) == TALK
    assert chosen.worse and texts(chosen.worse) == [TALK[0], ("assistant", "5.")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"chosen": "a", "rejected": "b"}, "without a prompt"),
        (
            {"chosen": [ASKED, SAID], "rejected": [{**ASKED, "content": "?"}, SAID]},
            "different prom",
        ),
        ({"text": "a"}, "no form that is known: its keys are text"),
        ({"prompt": str([ASKED]), "completion": "a"}, "messages, but not as JSON"),
        ({"messages": [ASKED, {**SAID, "tool_calls": "look"}]}, "tool_calls is text that is not"),
        ({"messages": [ASKED, SAID], "tools": [{**TOOL, "parameters": "look"}]}, "not JSON"),
        ({"messages": [ASKED, SAID], "tools": [{"type": "web_search"}]}, "type web_search"),
        ({"messages": [ASKED, SAID], "tools": [{"description": "d"}]}, "a tool has no type"),
        ({"system": "a", "messages": [{"role": "system", "content": "b"}, ASKED, SAID]}, "two sys"),
        ({"conversations": [{"from": "moon", "value": "a"}]}, "from nobody that is known"),
        ({"messages": [ASKED, {**SAID, "content": [{"type": "text"}]}]}, "no text under `text`"),
    ],
)
def test_what_is_not_read_is_named(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        read(**record)


@pytest.mark.parametrize(
    "system",
    [
        {"system": "Be brief."},
        {"system": [{"type": "text", "text": "Be brief."}]},
        {"system_prompt": "Be brief."},
    ],
)
def test_a_system_prompt_beside_the_conversation_comes_first(system: dict[str, Any]) -> None:
    rollout = read(**system, prompt="Price of soap?", response="2 euro.")
    assert texts(rollout) == [("system", "Be brief."), *TALK]


@pytest.mark.parametrize(
    "text",
    [
        '{"role": "admin", "name": "soap"}', '[{"role": "admin", "content": 1}]',
        '{"type": "soap"}', '[{"content": "soap"}]', "[{'price': 2}]", '[{"role": "user"}]',
    ],
)  # fmt: skip
def test_json_that_is_no_message_stays_text(text: str) -> None:
    """Models are asked for JSON."""
    assert texts(read(prompt="As JSON, please.", response=text))[1] == ("assistant", text)


@pytest.mark.parametrize(
    "tool",
    [
        TOOL,
        {"function": TOOL},
        json.dumps({**TOOL, "type": "function"}),
        {**TOOL, "parameters": json.dumps(TOOL["parameters"])},
        {"name": "look_up", "description": "d", "input_schema": TOOL["parameters"]},
    ],
)
def test_tools_of_any_api(tool: Any) -> None:
    wanted = [{"type": "function", "function": TOOL}]
    info = {"oai_tools": [tool]}
    for record in (
        {"tools": [tool]},
        {"tools": json.dumps([tool])},
        {"functions": [tool]},
        {"info": info},
        {"info": json.dumps(info)},
    ):
        found = read(messages=[ASKED, SAID], **record).tools
        assert json.loads(bytes(found)) == wanted


@pytest.mark.parametrize(
    "call",
    [{"tool_calls": [CALL]}, {"tool_calls": json.dumps([CALL])}, {"tool_calls": [json.dumps(CALL)]},
        {"function_call": CALL["function"]}, {"function_call": json.dumps(CALL["function"])}],
)  # fmt: skip
@pytest.mark.parametrize("result", [{"role": "tool"}, {"role": "tool", "tool_call_id": "c1"},
    {"role": "function", "name": "look_up"}])  # fmt: skip
def test_calls_in_all_their_forms(call: dict[str, Any], result: dict[str, Any]) -> None:
    asks = {"role": "assistant", "content": None, **call}
    rollout = read(messages=[ASKED, asks, {**result, "content": "2"}, SAID])
    first, returned, last = rollout.completion
    assert first.tool_calls[0].function.name == "look_up" and last.text == "2 euro."
    assert returned.tool_call_id == first.tool_calls[0].id


def test_a_chat_message_among_items_keeps_all_that_it_says() -> None:
    asked = [ASKED, {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"}]  # fmt: skip
    said = {"type": "message", **SAID, "reasoning_content": "I know."}
    rollout = read(responses_create_params={"input": asked}, response={"output": [said]})
    assert rollout.prompt[1].tool_calls and rollout.completion[0].thought == "I know."


# --- rewards ---


def test_a_reward_is_named_or_given() -> None:
    talk = {"messages": [ASKED, SAID]}
    assert read(Shape(reward_key="scores.all"), **talk, scores={"all": 0.5}).reward == 0.5
    assert read(Shape(reward_key="a.b"), **talk, **{"a.b": 1}).reward == 1
    assert read(Shape(reward=1.0), **talk).reward == 1
    assert read(Shape(reward=1.0), **talk, reward=0).reward == 0
    assert read(prompt="q", completion="a", label=False).reward == 0
    with pytest.raises(Damaged, match="not a number"):
        read(Shape(reward_key="score"), **talk, score="good")


# --- flags ---


@pytest.mark.parametrize("flags", [{"mask_sample": True}, {"instance_config": {"mask_sample": 1}}])
def test_what_the_environment_masks(flags: dict[str, Any]) -> None:
    assert read(messages=[ASKED, SAID], **flags).masked
    assert not read(messages=[ASKED, SAID], instance_config={"mask_sample": False}).masked


@pytest.mark.parametrize(
    "flags",
    [{"is_truncated": True}, {"truncated": True}, {"finish_reason": "length"},
        {"stop_reason": "max_tokens"}, {"messages": [ASKED, {**SAID, "finish_reason": "LENGTH"}]}],
)  # fmt: skip
def test_what_was_cut_off(flags: dict[str, Any]) -> None:
    assert read(**{"messages": [ASKED, SAID], **flags}).truncated
    assert not read(messages=[ASKED, SAID], finish_reason="stop").truncated


@pytest.mark.parametrize("flags", [{"error": "timeout"}, {"error": {"type": "x"}},
    {"finish_reason": "content_filter"}])  # fmt: skip
def test_what_failed(flags: dict[str, Any]) -> None:
    assert read(messages=[ASKED, SAID], **flags).failed
    nothings: list[Any] = [None, "", {}, 0.31, 0]  # a number is a measure
    for nothing in nothings:
        assert not read(messages=[ASKED, SAID], error=nothing).failed


# --- what stands beside the content ---


@pytest.mark.parametrize(
    "thought",
    [{"reasoning": "I know."}, {"reasoning_content": "I know."}, {"thinking": "I know."},
        {"reasoning_details": [{"type": "reasoning.text", "text": "I know."}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"},
            {"type": "reasoning.summary", "summary": "I know."}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "I know.", "signature": "s"}]},
        {"content": [{"type": "thinking", "thinking": "I know."},
            {"type": "text", "text": "2 euro."}]}],
)  # fmt: skip
def test_reasoning_by_any_name(thought: dict[str, Any]) -> None:
    (said,) = read(messages=[ASKED, {**SAID, **thought}]).completion
    assert (said.thought, said.text) == ("I know.", "2 euro.")


FLAGS = [("weight", 0, 1), ("weight", 0.0, 1.0), ("trainable", False, True), ("train", False, True),
    ("loss", False, True), ("loss_weight", 0, 1)]  # fmt: skip


@pytest.mark.parametrize(("key", "no", "yes"), FLAGS)
def test_turns_that_are_not_to_be_learned(key: str, no: Any, yes: Any) -> None:
    """Before what is learned they are given, after it they are left out."""
    first, second = {**SAID, key: no}, {**SAID, "content": "3 euro.", key: yes}
    rollout = read(messages=[{**ASKED, key: no}, first, ASKED, second])
    assert [len(rollout.prompt), texts(rollout)[-1]] == [3, ("assistant", "3 euro.")]
    rollout = read(messages=[ASKED, second, ASKED, first])
    assert texts(rollout) == [TALK[0], ("assistant", "3 euro.")]
    with pytest.raises(SetAside, match="no turn of the model"):
        read(messages=[ASKED, first])
    with pytest.raises(SetAside, match="between two that are"):
        read(messages=[ASKED, second, ASKED, first, ASKED, second])
    with pytest.raises(SetAside, match="the model did not write"):
        read(messages=[{**ASKED, key: yes}, second])


def test_weights_that_no_trainer_keeps() -> None:
    for value in (0.5, 2, "high", [0, 1]):
        with pytest.raises(SetAside, match="neither 0 nor 1: weight"):
            read(messages=[ASKED, {**SAID, "weight": value}])
    with pytest.raises(SetAside, match="and not to be learned"):
        read(messages=[ASKED, {**SAID, "weight": 0, "trainable": True}])
    items = [{"type": "message", **SAID, "weight": 0}]
    with pytest.raises(SetAside, match="no turn of the model"):
        read(responses_create_params={"input": [ASKED]}, response={"output": items})
