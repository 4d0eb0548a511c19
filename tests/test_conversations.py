"""The conversation read back is the conversation in the rollout, and every line is counted."""

import importlib
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import real
from conftest import TEMPLATES
from inside import KINDS, counted, inside
from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.errors import Unusable
from rollouts import Json, calls, chat, encoded, record, result, says, thinks, user
from scripts import FILTER

Event = tuple[Any, ...]


# --- an independent reading of a record ---


def events(row: Json) -> list[Event]:
    """What happened, one after the other; what the model did between two events is one of them."""
    found: list[Event] = []
    for kind, value in _steps(row):
        if kind not in {"think", "say", "call"}:
            found.append((kind, value))
            continue
        if not found or found[-1][0] != "model":
            found.append(("model", {"think": "", "say": "", "call": []}))
        found[-1][1][kind] += value
    return [_of_model(*event) if event[0] == "model" else event for event in found]


def _of_model(kind: str, parts: Json) -> Event:
    return kind, squeezed(parts["think"] + parts["say"]), parts["call"]


def _steps(row: Json) -> Iterator[tuple[str, Any]]:
    if "responses_create_params" not in row:
        for message in row["messages"]:
            yield from _chat_steps(message)
        return
    asked, output = row["responses_create_params"], row["response"]["output"]
    if asked.get("instructions"):
        yield "system", asked["instructions"]
    given = asked.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    for item in [*items, *(output[-1] if output and isinstance(output[0], list) else output)]:
        yield from _item_steps(item)


def _item_steps(item: Json) -> Iterator[tuple[str, Any]]:
    match item.get("type", "message"):
        case "reasoning":
            yield "think", text(item.get("content") or item.get("summary"))
        case "function_call":
            yield "call", [(item["name"], arguments(item["arguments"]))]
        case "function_call_output":
            yield "tool", text(item["output"])
        case _ if item["role"] == "assistant":
            yield "say", text(item["content"])
        case _:
            yield item["role"].replace("developer", "system"), text(item["content"])


def _chat_steps(message: Json) -> Iterator[tuple[str, Any]]:
    if message["role"] != "assistant":
        yield message["role"].replace("developer", "system"), text(message["content"])
        return
    yield "think", message.get("reasoning_content") or ""
    yield "say", text(message["content"])
    for call in message.get("tool_calls") or []:
        yield "call", [(call["function"]["name"], arguments(call["function"]["arguments"]))]


def text(content: Any) -> str:
    if not isinstance(content, list):
        return content or ""
    return "".join(part.get("text") or part.get("refusal") or "" for part in content)


def arguments(value: Any) -> str:
    value = json.loads(value or "{}") if isinstance(value, str) else value
    return json.dumps(value, sort_keys=True)


def squeezed(said: str) -> str:
    """Reasoning moves between think tags and a field of its own: without the tags and blanks."""
    return re.sub(r"</?think>|\s", "", said)


def told(rollout: Rollout) -> list[Event]:
    """The same of what was read."""
    found: list[Event] = []
    for message in [*rollout.prompt, *rollout.completion]:
        if message.role == "assistant":
            made = [(c.function.name, arguments(c.function.arguments)) for c in message.tool_calls]
            found.append(("model", squeezed(message.thought + message.text), made))
        else:
            found.append((message.role, message.text))
    return found


def check_legal(rollout: Rollout) -> None:
    """Every result answers a call before it, and the model goes on when all have theirs."""
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
    assert rollout.prompt
    assert not rollout.completion or rollout.completion[0].role == "assistant"


# --- real files ---


def test_real_conversations_are_read_whole() -> None:
    """Every line of every file is used or has a reason; the sample is always there."""
    used = rejected = 0
    for line in real.lines():
        try:
            rollout = normalise(line)
        except Unusable as reason:
            assert str(reason)
            rejected += 1
        else:
            check_legal(rollout)
            if rollout.completion:
                assert told(rollout) == events(json.loads(line))
            used += 1
    assert used >= 72
    assert used > 4 * rejected


@pytest.mark.parametrize("options", ["", "--images keep --incomplete cut --duplicates exact"])
@pytest.mark.parametrize("file", real.FILES, ids=lambda path: path.stem)
def test_every_line_of_real_files_is_filtered(tmp_path: Path, file: Path, options: str) -> None:
    (tmp_path / "in.jsonl").symlink_to(file)
    done = inside(FILTER, tmp_path, f"--input in.jsonl --max_bad_share 1 {options}")
    lines = [each for each in file.read_bytes().splitlines() if each.strip()]
    found = counted(tmp_path, done)
    if found:
        assert found["read"] == len(lines)
        assert set((tmp_path / "out.jsonl").read_bytes().splitlines()) <= set(lines)


SCRIPTS = {path.stem[12:]: path for path in TEMPLATES.glob("*/prepare_for_*.py")}
SHAPES = ("", "--images keep --incomplete cut --reasoning tags")


@pytest.mark.parametrize("framework", sorted(SCRIPTS))
@pytest.mark.parametrize("file", real.FILES, ids=lambda path: path.stem)
def test_every_line_of_real_files_is_prepared(tmp_path: Path, file: Path, framework: str) -> None:
    (tmp_path / "in.jsonl").symlink_to(file)
    script = SCRIPTS[framework]
    refused = importlib.import_module(f"rl_rollouts.frameworks.{framework}").REFUSED
    for kind, shape in product(set(KINDS) - set(refused), SHAPES):
        arguments = f"--input in.jsonl --max_bad_share 1 --eval_share 0.3 --kind {kind} {shape}"
        found = counted(tmp_path, inside(script, tmp_path, arguments), script)
        if not found:
            continue
        rows = found["training rows"] + found["held-out rows"]
        assert kind == "preference" or found["rollouts"] == rows + sum(found["not chosen"].values())
        written = [(tmp_path / f"out{side}.jsonl").read_bytes() for side in ("", ".eval")]
        assert sum(map(len, map(bytes.splitlines, written))) == rows


# --- made-up conversations ---

TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
VALUES = st.one_of(TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.none())
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Json], list[Json]]:
    """What follows on a question, as Responses items and as chat messages."""
    items: list[Json] = []
    messages: list[Json] = []
    count = draw(st.integers(1, 4))
    for turn in range(count):
        thought = draw(st.none() | TEXT)
        ids = [f"{turn}-{call}" for call in range(draw(st.integers(0, 3)))]
        said = draw(TEXT) if not ids or draw(st.booleans()) else None
        made = [(each, draw(TEXT), draw(ARGUMENTS)) for each in ids]
        items += [thinks(thought)] if thought else []
        items += [says(said)] if said else []
        items += [calls(each, name, json.dumps(given)) for each, name, given in made]
        function = [{"name": name, "arguments": given} for _, name, given in made]
        messages.append(
            {
                "role": "assistant",
                "content": said,
                "reasoning_content": thought,
                "tool_calls": [
                    {"id": each, "function": called}
                    for each, called in zip(ids, function, strict=True)
                ],
            }
        )
        for each in draw(st.permutations(ids)):
            seen = draw(TEXT)
            items.append(result(each, seen))
            messages.append({"role": "tool", "tool_call_id": each, "content": seen})
        if not ids and turn + 1 < count:
            asked = draw(TEXT)
            items.append(user(asked))
            messages.append({"role": "user", "content": asked})
    return items, messages


@settings(max_examples=150, deadline=None, derandomize=True)
@given(conversations(), TEXT, st.sampled_from(["keep", "tags", "drop"]))
def test_any_legal_conversation_survives(
    both: tuple[list[Json], list[Json]], question: str, where: Any
) -> None:
    """Whatever the form of the record, and wherever reasoning is put."""
    items, messages = both
    asked = {"role": "user", "content": question}
    rows = [
        record(items, question),
        record([[user(question), *items]], []),
        chat(asked, *messages),
        {"prompt": [asked], "completion": messages, "reward": 1.0},
    ]
    forms = [normalise(encoded(row), Shape(reasoning=where)) for row in rows]
    metadata = [form.metadata for form in forms]  # read when asked for
    assert all(isinstance(each, dict) for each in metadata)
    sides = [msgspec.json.decode(msgspec.json.encode(form)) for form in forms]
    assert all(side == sides[0] for side in sides)
    check_legal(forms[0])
    if where != "drop":
        assert told(forms[0]) == events(rows[0]) == events(rows[2])
