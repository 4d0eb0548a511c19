"""What a survey counts in rollouts: the numbers of `inspect` and of the report."""

import json
import math
import pickle
import re
from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_rollouts.data.normalise import normalise
from rl_rollouts.survey import Survey, findings, survey, tasks, uses
from rl_rollouts.survey.findings import percent
from rl_rollouts.survey.spread import Spread, spread_of
from rollouts import calls, result, says, thinks, user
from surveyed import mixed, rollout, shown, surveyed


def test_numbers_are_those_counted_by_hand() -> None:
    asked = [calls("1"), calls("2"), result("1"), result("2"), says("done")]
    records = [
        rollout(0, 1.0),
        rollout(0, 1.0),  # a copy
        rollout(0, 0.0, says("no")),
        rollout(1, 0.2, *asked, agent="bank", tools=True),
        rollout(1, 0.4, thinks("hm"), *asked, agent="bank", expected_answer="7"),
        rollout(2, 0.7, mask_sample=True),
        rollout(3, 0.5, agent="bank"),
        rollout(3, 1.0, says("longer"), agent="bank"),
    ]
    records[7]["response"]["incomplete_details"] = {"reason": "max_output_tokens"}
    found = surveyed(records).summary()
    assert (found.rollouts, found.read, found.solved) == (8, 8, 5)
    assert found.rewards and found.rewards.mean == pytest.approx(4.8 / 8)
    assert [(each.name, each.rollouts, each.solved) for each in found.agents] == [
        ("bank", 4, 2),
        ("shop", 4, 3),
    ]
    assert (found.tasks.count, found.tasks.differing, found.tasks.single) == (4, 3, 1)
    assert (found.tasks.never, found.tasks.sometimes, found.tasks.always) == (1, 1, 2)
    assert sum(bar.count for bar in found.tasks.pass_rates) == 4
    assert found.copies.rollouts == 1
    tool = found.tools[0]
    assert (tool.name, tool.calls, tool.rollouts, tool.unknown) == ("look", 4, 2, 1)
    marks = found.marks
    assert (marks.masked, marks.truncated, marks.reasoning) == (1, 1, 1)
    assert (marks.tools, marks.calls, marks.unknown_calls, marks.ground_truth) == (1, 2, 1, 1)
    assert found.turns and [(bar.low, bar.count) for bar in found.turns.bars] == [(1, 6), (2, 2)]
    assert found.prompt_characters and found.prompt_characters.mean == len("question 0")
    assert "3 of 4 tasks have two or more different rewards" in findings(found)[-1].text
    words = shown(found).text
    for text in (
        "solved 5 62%",
        "never solved 1 25%",
        "copies of another rollout 1",
    ):
        assert text in words
    assert re.search(r" bank Rewards of bank: [^%]* 4 \(50%\) 50% 0.2 0.4 0.525 1 ", words)


def test_what_solved_means_can_be_said() -> None:
    records = [rollout(0, 0.4), rollout(0, -3.0)]
    assert surveyed(records).summary().solved == 0
    assert surveyed(records, solved_from=-5).summary().tasks.always == 1


def test_colliding_tasks_and_shared_prompts_are_found() -> None:
    records = [rollout(0, 1), rollout(1, 1), rollout(2, 1)]
    records[1]["responses_create_params"] = records[0]["responses_create_params"]
    records.append({**rollout(2, 0), "responses_create_params": {"input": [user("another")]}})
    found = surveyed(records).summary().tasks
    assert (found.shared_prompts, found.mixed) == (1, 1)


@given(st.data())
def test_neither_order_nor_merging_matters(data: st.DataObject) -> None:
    records = mixed(60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "MOST_TASKS", data.draw(st.sampled_from([5, 1000])))
        patch.setattr(survey, "MOST_TEXTS", data.draw(st.sampled_from([5, 1000])))
        expected = surveyed(records).summary()
        order = data.draw(st.permutations(records))
        cut = data.draw(st.integers(0, len(order)))
        merged = surveyed(order[:cut])
        merged.merge(pickle.loads(pickle.dumps(surveyed(order[cut:]))))
    assert msgspec.json.encode(merged.summary()) == msgspec.json.encode(expected)


numbers = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, -0.0]), st.floats(-1e9, 1e9), st.integers(0, 99)
)


@given(st.lists(numbers, min_size=1, max_size=200), st.sampled_from(["even", "log"]))
def test_figures_are_exact_where_they_say_so(values: list[float], scale: Any) -> None:
    values = [abs(value) for value in values] if scale == "log" else values
    found = spread_of(values, scale).figures()
    assert found
    assert found.mean == float(sum(map(Fraction, values)) / len(values))
    assert (found.low, found.high) == (min(values), max(values))
    assert sum(bar.count for bar in found.bars) == found.count == len(values)
    assert len(found.bars) <= 64
    middle = sorted(values)[math.ceil(len(values) / 2) - 1]
    assert found.median == pytest.approx(middle, rel=0.006, abs=1e-6)


def test_rewards_far_off_do_not_flatten_the_rest() -> None:
    found = spread_of([*[index / 100 for index in range(100)], 1e9]).figures()
    assert found and len([bar for bar in found.bars if bar.count]) > 8
    assert found.bars[-1].high == 1e9


def test_extreme_rewards_are_counted() -> None:
    found = spread_of([1e308, -1e308, 5e-324, 1e308]).figures()
    assert found and (found.high, found.mean) == (1e308, 2.5e307)


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """More tasks, agents, tools, reasons and texts than are held are estimated, not stored."""
    monkeypatch.setattr(tasks, "MOST_TASKS", 400)
    monkeypatch.setattr(survey, "MOST_TEXTS", 400)
    monkeypatch.setattr(uses, "MOST_GROUPS", 400)
    found, sizes = Survey(), []
    for index in range(6000):
        said = [calls("1", f"tool {index}"), result("1"), says(f"answer {index}")]
        one = rollout(index // 2, index % 2, *said, agent=f"agent {index // 2}")
        line = json.dumps(one).encode()
        found.add(normalise(line), line)
        found.reject(f"reason {index}")
        if index in (2999, 5999):
            sizes.append(len(pickle.dumps(found)))
    assert sizes[1] < 1.3 * sizes[0]
    summary = found.summary()
    assert summary.rollouts == summary.calls == 6000
    assert summary.tasks.share < 1
    assert summary.tasks.count == summary.tasks.differing == pytest.approx(3000, rel=0.25)
    assert sum(summary.rejected.values()) == 6000
    assert summary.other_agents == 6000 - 2 * len(summary.agents) > 0
    words = shown(summary).text
    assert "scaled up from 1 in 8" in words
    assert "other agents" in words


def test_samples_come_from_all_agents_and_both_ends() -> None:
    records = [rollout(index, index % 2, agent=f"agent {index % 3}") for index in range(300)]
    found = surveyed(records).summary().samples
    assert len(found) == 20
    sides = Counter((sample.agent, sample.solved) for sample in found)
    assert len(sides) == 6
    assert min(sides.values()) >= 3


def test_long_samples_are_shortened() -> None:
    turns = [each for n in range(40) for each in (calls(str(n)), result(str(n), "x" * 99_999))]
    found = surveyed([rollout(0, 1, *turns, says("end"))]).summary().samples[0]
    assert len(msgspec.json.encode(found)) < 40_000
    assert found.messages[-1].text.head == "end"
    words = shown(surveyed([rollout(0, 1, *turns, says("end"))]).summary()).text
    assert "messages left out" in words
    assert "98,399 characters left out" in words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 9, "0%"), (9, 9, "100%"), (1, 5000, "<0.1%"), (4999, 5000, ">99.9%"), (1, 3, "33%")],
)
def test_shares_do_not_claim_more_than_is_so(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words


def test_merging_an_empty_spread_changes_nothing() -> None:
    one = spread_of([1.0, 2.0])
    one.merge(Spread())
    assert one.figures() == spread_of([2.0, 1.0]).figures()
