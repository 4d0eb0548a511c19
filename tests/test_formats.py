"""Rows say what the rollout said, in the form of each framework; parquet gives back what it got."""

import importlib
import json
import sys
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import msgspec
import pyarrow.parquet as pq
import pytest

import real
from conftest import LIBRARY
from rl_rollouts.data.build import Judged, Pair, Trajectory, trajectory
from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Function, Message, Rollout, Tokens, ToolCall, message, raw
from rl_rollouts.data.rows import prompt, renamed, with_text_arguments
from rl_rollouts.engine import parquet
from rl_rollouts.engine.parquet import Parquet, columns
from rl_rollouts.errors import Unusable, UserError
from rl_rollouts.frameworks import nemo_rl, openrlhf, verl

Json = dict[str, Any]
KINDS = ["sft", "preference", "unpaired", "prompts", "trajectories"]
FORMATS = {
    path.stem: importlib.import_module(f"rl_rollouts.frameworks.{path.stem}")
    for path in (LIBRARY / "frameworks").glob("[!_]*.py")
}
OFFERED = [(name, kind) for name, module in FORMATS.items() for kind in module.ROWS]

TOOLS: list[Json] = [
    {"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": {}}}}},
    {"type": "function", "function": {"name": "go", "description": "moves", "parameters": {}}},
]


def calls(call_id: str, name: str, **arguments: Any) -> ToolCall:
    return ToolCall(Function(name, arguments), call_id)


def rollout(**changes: Any) -> Rollout:
    """Two turns and a last call, whose result ends the rollout."""
    completion = [
        message(
            "assistant", "", "I had better look.", tool_calls=[calls("1", "look", at=[1, "x"])]
        ),
        message("tool", "a wall", tool_call_id="1"),
        message("assistant", "There is a wall.", tool_calls=[calls("2", "go", to={"n": 0.7})]),
        message("tool", "You went.", tool_call_id="2"),
    ]
    everything: Json = {
        "prompt": [message("system", "Be kind."), message("user", "Where am I? \u2028 \U0001f642")],
        "completion": completion,
        "reward": 0.5,
        "task": "t1",
        "tools": raw(TOOLS),
        "agent": "walker",
        "ground_truth": raw(["wall", 1]),
        "facts": {"level": raw({"b": None, "a": 1.50}), "expected_answer": raw("wall")},
        "turn_tokens": [Tokens([1, 2], [3], [-0.5]), Tokens([1, 2, 3], [4, 5], [-1.0, 0.0])],
    }
    return Rollout(**(everything | changes))


def built(kind: str, source: Rollout | None = None) -> Any:
    one = source or rollout()
    if kind == "preference":
        worse = [message("assistant", "I do not know.")]
        return Pair(one.prompt, one.completion, worse, one.tools, 1.0, 0.25, one.task)
    if kind == "unpaired":
        return Judged(one, True)
    return trajectory(one) if kind == "trajectories" else one


def row(name: str, kind: str, source: Rollout | None = None) -> Json:
    """A row as the loader reads it from JSONL."""
    read: Json = json.loads(msgspec.json.encode(FORMATS[name].ROWS[kind](built(kind, source))))
    return read


def conversations(value: Any) -> list[list[Json]]:
    """Every list of messages in a row, also where it stands as JSON text."""
    if isinstance(value, str) and value[:1] in "[{":
        return conversations(json.loads(value))
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [found for part in parts for found in conversations(part)]


def chat(messages: list[Message]) -> list[Json]:
    read: list[Json] = json.loads(msgspec.json.encode(messages))
    return read


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_has_rows_or_a_reason(name: str) -> None:
    module = FORMATS[name]
    assert sorted([*module.ROWS, *module.REFUSED]) == sorted(KINDS)
    assert list(module.COLUMNS) == list(module.ROWS)
    for reason in module.REFUSED.values():
        assert "choose" in reason or "Train" in reason


@pytest.mark.parametrize(("name", "kind"), OFFERED)
def test_columns_are_those_of_the_rows(name: str, kind: str) -> None:
    declared = FORMATS[name].COLUMNS[kind]
    assert not declared or list(declared) == list(row(name, kind))


@pytest.mark.parametrize(("name", "kind"), OFFERED)
def test_no_text_is_lost(name: str, kind: str) -> None:
    one = rollout()
    text = msgspec.json.encode(row(name, kind)).decode()
    shown = [*one.prompt, *one.completion[:3]] if kind != "prompts" else one.prompt
    for each in shown:
        assert json.dumps(each.text, ensure_ascii=False)[1:-1] in text
        assert each.thought in text
        assert all(call.function.name in text for call in each.tool_calls)
    assert "moves" in text, "the tools"


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"custom"}))
@pytest.mark.parametrize("kind", ["sft", "preference", "unpaired"])
def test_what_is_trained_ends_with_the_model(name: str, kind: str) -> None:
    if kind not in FORMATS[name].ROWS:
        return
    given = chat(rollout().prompt)
    trained = [found for found in conversations(row(name, kind)) if found != given]
    assert trained and all(found[-1]["role"] == "assistant" for found in trained)
    assert "There is a wall." in trained[0][-1]["content"]


def test_custom_rows_are_whole() -> None:
    assert row("custom", "sft")["completion"] == chat(rollout().completion)


@cache
def schema(kind: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    folder = LIBRARY / "schemas"
    read = {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    resources = {name: Resource.from_contents(contents) for name, contents in read.items()}
    Draft202012Validator.check_schema(read[f"{kind}.json"])
    return Draft202012Validator(
        read[f"{kind}.json"], registry=Registry().with_resources(resources.items())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_custom_rows_are_as_documented(kind: str) -> None:
    schema(kind).validate(row("custom", kind))
    bare = rollout(tools=raw(None), facts={}, turn_tokens=None, ground_truth=raw(None))
    schema(kind).validate(row("custom", kind, bare))
    assert list(schema(kind).schema["properties"]) == list(FORMATS["custom"].COLUMNS[kind])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("sft", {"reward": "high"}),
        ("sft", {"prompt": []}),
        ("sft", {"extra": 1}),
        ("sft", {"completion": [{"role": "user", "content": "x"}]}),
        ("sft", {"prompt": [{"role": "user", "content": "x", "reasoning_content": "y"}]}),
        ("sft", {"prompt": [{"role": "developer", "content": "x"}]}),
        ("unpaired", {"label": 1}),
        ("prompts", {"tools": [{"name": "flat"}]}),
        ("trajectories", {"actions": [{"role": "tool", "content": "x"}]}),
        ("preference", {"chosen": [{"role": "assistant", "content": None}]}),
    ],
)
def test_what_is_not_documented_is_refused(kind: str, change: Json) -> None:
    assert not schema(kind).is_valid(row("custom", kind) | change)


def test_real_rollouts_are_as_documented() -> None:
    lines = [line for file in real.FILES for line in islice(file.open("rb"), 2)]
    checked = 0
    for line in lines:
        try:
            one = normalise(line, Shape(images="keep", incomplete="cut", tokens=True))
        except Unusable:
            continue
        for kind in KINDS if one.completion else ("prompts",):
            schema(kind).validate(row("custom", kind, one))
        checked += 1
    assert checked > len(lines) // 2


def test_a_gym_task_asks_what_the_rollout_was_asked() -> None:
    one = rollout()
    asked = rollout(prompt=[*one.prompt, *one.completion[:2], message("user", "And now?")])
    task = row("nemo_rl", "prompts", asked)
    answer = [{"type": "message", "role": "assistant", "content": "Here."}]
    line = json.dumps({**task, "response": {"output": answer}, "reward": 1}).encode()
    again = normalise(line, Shape())
    assert chat(again.prompt) == chat(asked.prompt)
    assert (again.agent, msgspec.json.decode(again.tools)) == ("walker", TOOLS)
    assert msgspec.json.decode(again.metadata["level"]) == {"b": None, "a": 1.5}


@pytest.mark.parametrize(
    ("make", "changes", "reason"),
    [
        (nemo_rl.gym, {"agent": None}, "no agent_ref"),
        (nemo_rl.gym, {"prompt": [message("tool", "x")]}, "no id"),
        (nemo_rl.response, {}, "more than one text"),
        (
            nemo_rl.response,
            {"prompt": [message("user", "q")], "ground_truth": raw(None)},
            "no ground truth",
        ),
    ],
)
def test_prompts_that_nemo_rl_cannot_use(make: Any, changes: Json, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        make(rollout(**changes))


def test_question_and_answer() -> None:
    made = nemo_rl.response(rollout(prompt=[message("user", "q\n")], ground_truth=raw("42")))
    assert (made.input, made.output) == ("q\n", "42")


@pytest.mark.parametrize("truth", ["42", 42, ["a", 1], None, "[1]", {"x": None}])
def test_rewards_get_the_ground_truth_of_any_type(truth: Any) -> None:
    """Through columns that are text in every row, which is what the loaders need."""
    one = rollout(ground_truth=raw(truth))
    question, label = verl.prompts(one), openrlhf.prompts(one).label
    extra = json.loads(msgspec.json.encode(question.extra_info))
    assert set(map(type, extra.values())) == {str}
    for found in (verl.reward_arguments(extra), openrlhf.reward_arguments(label)):
        assert found["ground_truth"] == truth
        assert found["prompt"] == chat(one.prompt)
        assert found["metadata"] == json.loads(msgspec.json.encode(one.metadata))
    plain = openrlhf.prompts(one, only_ground_truth=True).label
    assert plain == question.reward_model.ground_truth
    assert plain == (truth if isinstance(truth, str) else "" if truth is None else plain)


def test_openrlhf_without_a_prompt_key() -> None:
    one = rollout()
    sides = [message("assistant", "good")], [message("assistant", "bad")]
    made = openrlhf.whole_preference(Pair(one.prompt, *sides, one.tools, 1.0, 0.25, "t"))
    assert [each.text for each in made.chosen_messages[-2:]] == [one.prompt[-1].text, "good"]
    assert made.margin == 0.75
    with pytest.raises(Unusable, match="several messages"):
        openrlhf.whole_preference(built("preference"))


def test_nemo_rl_sums_the_rewards_of_steps() -> None:
    steps = built("trajectories", rollout(turn_rewards=[0.25, 1.0]))
    assert isinstance(steps, Trajectory)
    made = nemo_rl.trajectories(steps)
    assert made.reward == 1.25
    assert chat(made.messages) == chat(nemo_rl.sft(rollout()).messages)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_arguments_as_text(name: str, kind: str) -> None:
    if kind not in FORMATS[name].ROWS or kind == "prompts":
        return
    change = with_text_arguments(FORMATS[name].ROWS[kind])
    changed = json.loads(msgspec.json.encode(change(built(kind))))
    before, after = conversations(row(name, kind)), conversations(changed)
    calls_of = [
        [
            call["function"]
            for found in each
            for said in found
            for call in said.get("tool_calls", [])
        ]
        for each in (before, after)
    ]
    assert [json.loads(call["arguments"]) for call in calls_of[1]] == [
        call["arguments"] for call in calls_of[0]
    ]
    assert calls_of[1]


def test_columns_under_other_names() -> None:
    made = renamed(openrlhf.sft, {"messages": "conversation"})(rollout())
    assert list(made) == ["conversation", "tools", "given"]
    twice = renamed(with_text_arguments(verl.sft), {"tools": "functions"})(rollout())
    assert list(twice) == ["messages", "functions", "given"]


class Row(msgspec.Struct):
    name: str
    reward: float
    anything: Any = None


def table(path: Path) -> list[Json]:
    rows: list[Json] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("group", [1, parquet.GROUP_BYTES])
def test_parquet_keeps_json_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    """Tools and arguments of another shape in every row, and of another type in the last."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", group)
    texts = [b'{"a":1}', b'{"b":[1.50,null]}', b"[]", b"null", b'"\\u00e9 \xc3\xa9"', b"1e3", b"{}"]
    with Parquet(tmp_path / "rows.parquet", columns(Row)) as output:
        for text in texts:
            output.write(Row("n", 1.0, msgspec.Raw(text)))
            output.write(b'{"name":"n","reward":2,"anything":%s}' % text)
        output.write({"name": "absent", "reward": 3.0})
    assert output.rows == len(texts) * 2 + 1
    read = table(tmp_path / "rows.parquet")
    assert [each["anything"] for each in read[:-1:2]] == [text.decode() for text in texts]
    assert [each["anything"] for each in read[1:-1:2]] == [text.decode() for text in texts]
    assert read[-1] == {"name": "absent", "reward": 3.0, "anything": None}


@pytest.mark.parametrize(("name", "kind"), OFFERED)
def test_parquet_says_what_jsonl_says(name: str, kind: str, tmp_path: Path) -> None:
    declared = FORMATS[name].COLUMNS[kind]
    others = rollout(
        tools=raw([]), facts={"level": raw("three")}, completion=[message("assistant", "x")]
    )
    rows = [FORMATS[name].ROWS[kind](built(kind, one)) for one in (rollout(), others, rollout())]
    if not declared:
        with pytest.raises(UserError, match=r"\.jsonl"):
            Parquet(tmp_path / "rows.parquet", declared)
        return
    with Parquet(tmp_path / "rows.parquet", declared) as output:
        for each in rows:
            output.write(each)
    scalars = {column for column, of in declared.items() if of in parquet.SCALARS}
    read = [
        {key: value if key in scalars else json.loads(value) for key, value in each.items()}
        for each in table(tmp_path / "rows.parquet")
    ]
    assert read == [json.loads(msgspec.json.encode(each)) for each in rows]


def test_datasets_decodes_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    with Parquet(path, FORMATS["trl"].COLUMNS["sft"]) as output:
        for one in (rollout(), rollout(tools=raw(None), completion=[message("assistant", "x")])):
            output.write(FORMATS["trl"].ROWS["sft"](one))
    loaded = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["tools"] == TOOLS
    assert loaded[0]["completion"][0] == chat(rollout().completion)[0]
    assert loaded[1]["completion"] == [{"role": "assistant", "content": "x"}]


def test_a_failed_parquet_file_never_appears(tmp_path: Path) -> None:
    for bad in ({"name": "n", "reward": 1.0, "typo": 1}, {"name": 1, "reward": 1.0}):
        with (
            pytest.raises(msgspec.ValidationError),
            Parquet(tmp_path / "rows.parquet", columns(Row)) as output,
        ):
            output.write(Row("n", 1.0))
            output.write(bad)
    assert not list(tmp_path.iterdir())


def test_parquet_takes_files_of_rows(tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    part.write_bytes(b'{"name":"a","reward":1.0}\n{"name":"b","reward":2.0,"anything":[]}\n')
    with Parquet(tmp_path / "rows.parquet", columns(Row)) as output:
        output.take(part, 2)
    assert output.rows == 2
    assert [each["name"] for each in table(tmp_path / "rows.parquet")] == ["a", "b"]
    assert not part.exists()


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="pip install pyarrow"):
        Parquet(tmp_path / "rows.parquet", columns(Row))


def test_the_prompt_row_is_what_evaluation_reads() -> None:
    from rl_rollouts.evaluation.command import PROMPT_KEYS

    made = json.loads(msgspec.json.encode(prompt(rollout())))
    assert set(made) == PROMPT_KEYS
