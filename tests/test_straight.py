"""The straight way through a record gives what the way for any record gives."""

from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_rollouts.data import normalise
from rl_rollouts.data import record as record_
from rl_rollouts.data.normalise import Shape
from rl_rollouts.data.record import parse
from rl_rollouts.data.straight import straight
from rl_rollouts.errors import Unusable
from rollouts import Json, calls, encoded, record, result, says, thinks, user

IMAGE = [{"type": "input_image", "image_url": "https://example.org/a.png"}]
ODD: list[Any] = [
    *({"role": role, "content": "text"} for role in ("assistant", "tool", "developer", 1, ["a"])),
    {**says("a"), "content": "text"},
    {**says("a"), "content": [*says("a")["content"], *says("b")["content"]]},
    {**says("a"), "content": IMAGE},
    {**says("a"), "reward": 0.5},
    {**says("a"), "weight": 0},
    {**says("a"), "reasoning_content": "t"},
    {**calls("1"), "created_at": 1},
    {**says("a"), "generation_token_ids": [1]},
    {**says("a"), "type": None},
    {**thinks("t"), "content": [{"type": "reasoning_text", "text": "c"}]},
    {**calls("1"), "name": None},
    calls("1", arguments="not JSON"),
    calls(None),
    result("1", IMAGE),
    result("1", None),
    result("9"),
    "text",
    None,
    [says("a")],
]
USUAL = [
    *(says(text) for text in ("a", "", "<think>t</think>a", "a/thinker</think>", "é\n")),
    *(thinks(*texts) for texts in ((), ("",), ("t",), ("t", "u"))),
    *(calls("1"), calls("2"), calls("1", arguments=""), result("1"), result("2"), user("more")),
]
some = st.lists(st.sampled_from(USUAL) | st.sampled_from(USUAL) | st.sampled_from(ODD), max_size=8)
SHAPES = [Shape(), Shape("tags", images="keep", incomplete="cut"), Shape("drop", incomplete="cut")]


def found(line: bytes, shape: Shape) -> bytes | str:
    """All of a rollout, or why it is none."""
    try:
        rollout = normalise.normalise(line, shape)
    except Unusable as reason:
        return f"{type(reason).__name__}: {reason}"
    fields = [getattr(rollout, name) for name in rollout.__struct_fields__ if name != "facts"]
    return msgspec.json.encode([*fields, rollout.metadata])


@given(st.none() | st.text(max_size=3) | st.lists(st.sampled_from([user("q"), *ODD])), some)
@settings(max_examples=600, deadline=None)
@example(None, [thinks("t"), calls("1"), calls("2"), result("2"), result("1"), says("a")])
@example(None, [calls("1"), thinks("t"), result("1"), says("")])
@example(None, [says(""), thinks("t"), says("a"), calls("1")])
def test_both_ways_lead_to_the_same(given_: list[Json] | str | None, output: list[Any]) -> None:
    line = encoded(record(output, given_))
    for shape in SHAPES:
        here = found(line, shape)
        with patch.object(normalise, "straight", lambda _: None):
            assert found(line, shape) == here
            with patch.object(record_, "_decode_usual", record_._decode):
                assert found(line, shape) == here


@pytest.mark.parametrize(
    "output",
    [
        [says("a")],
        [thinks("t"), says("a")],
        [thinks("t"), calls("1"), calls("2"), result("1"), result("2"), thinks("u"), says("a")],
        [says("a"), calls("1"), result("1"), calls("2")],
    ],
)
def test_the_usual_goes_straight(output: list[Json]) -> None:
    assert straight(parse(encoded(record(output)))) is not None
    assert straight(parse(encoded(record(output, "text")))) is not None
