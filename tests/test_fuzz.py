"""Whatever stands in a file: a row, or a reason in `rejected.jsonl`; never a crash."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import real
from rl_rollouts.data import record as decoding
from rl_rollouts.data import rows as formats
from rl_rollouts.data.compressed import GZIP, ZSTD
from rl_rollouts.data.containers import BOM
from rl_rollouts.data.filter import Rules, TaskRules
from rl_rollouts.data.normalise import Shape, normalise
from rl_rollouts.data.rollout import Rollout
from rl_rollouts.engine.choose import PairRules
from rl_rollouts.engine.run import Options
from rl_rollouts.errors import Unusable, UserError
from rl_rollouts.frameworks import custom
from rl_rollouts.pipeline import Recipe, Wanted, filter_rollouts, prepare
from rl_rollouts.values import Kind
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
from scripts import total

SHAPES = [
    Shape(),
    Shape(reasoning="tags", images="keep", incomplete="cut", tokens=True),
    Shape(reasoning="drop", images="keep", incomplete="cut"),
]
IDS = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-1.0]}
IMAGE = {"type": "input_image", "image_url": "https://example.org/a.png"}
TOOL = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}}
RECORDS: list[Json] = [
    record(
        [thinks("t"), {**calls("1"), **IDS, "reward": 0.5}, calls("2"), result("2"), result("1"),
            {**says("<think>u</think>a"), **IDS}, user("more"), says("b")],
        responses_create_params={
            "instructions": "be kind",
            "tools": [TOOL],
            "input": [user([{"type": "input_text", "text": "q"}, IMAGE])],
        },
        agent_ref={"type": "t", "name": "a"}, _ng_task_index=3, turn_rewards=[0.5, 0, 1],
        mask_sample=False, expected_answer="4", verifier_metadata={"a": [1]},
    ),
    record([[user("q"), says("a")], [user("q"), says("a"), user("r"), says("b")]], []),
    chat(
        {"role": "system", "content": "s"}, asks([{"type": "text", "text": "q"}]),
        replies("a", "c", reasoning_content="t", reward=1), returns("c"), replies("b"),
        tools=[{"type": "function", "function": {"name": "look", "parameters": {}}}],
        task_id="t", agent="a", finish_reason="stop", ground_truth=[1],
    ),
    {"prompt": "q", "response": "a", "reward": 1},
    {"prompt": [asks()], "completion": [replies("a")], "reward": 0},
]  # fmt: skip


def outcome(line: bytes, shape: Shape = SHAPES[0]) -> Rollout | None:
    """A rollout whose rows can be written and read again, or none for a reason."""
    try:
        rollout = normalise(line, shape)
    except Unusable as reason:
        assert str(reason)
        return None
    try:
        row = json.loads(msgspec.json.encode(custom.sft(rollout)))
    except RecursionError:
        return None
    assert row["prompt"]
    assert not row["completion"] or row["completion"][0]["role"] == "assistant"
    for message in [*rollout.prompt, *rollout.completion]:
        assert isinstance(message.text, str) and isinstance(message.thought, str)
    return rollout


# --- values of any type, anywhere ---

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(2**64), 2**63, 1e308, -0.0, float("nan"), float("-inf")])
    | st.floats()
    | st.text()
    | st.sampled_from(["assistant", "user", "tool", "function_call", "message", "reasoning", "1"])
    | st.sampled_from(["<think>", "</think>", "\ud83d", "\x00", "[", "{}", " ", "input_image"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in a record."""
    if above:
        yield above
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*above, key))


def changed(row: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a record in which something was done at one place."""
    row = json.loads(json.dumps(row))
    holder = row
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return row


PLACES = [(row, path) for row in RECORDS for path in places(row)]


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), VALUES, st.sampled_from(SHAPES))
def test_any_value_at_any_place(place: tuple[Json, Any], value: Any, shape: Shape) -> None:
    row, path = place
    outcome(encoded(changed(row, path, partial(_put, value=value))), shape)


def read(line: bytes, shape: Shape) -> bytes | str:
    """The rollout, or the reason why it is none."""
    try:
        rollout = normalise(line, shape)
        assert rollout.metadata is not None  # read when it is asked for
        return msgspec.json.encode(rollout)
    except Unusable as reason:
        return str(reason)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), VALUES, st.sampled_from(SHAPES))
def test_usual_records_are_read_like_any_other(
    place: tuple[Json, Any], value: Any, shape: Shape
) -> None:
    """Most lines are decoded as far as the parts of their content, the others are not."""
    row, path = place
    line = encoded(changed(row, path, partial(_put, value=value)))
    found = read(line, shape)
    with patch.object(decoding, "_decode_usual", decoding._decode):
        assert read(line, shape) == found


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    10**400,
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    {"type": None},
    [{}],
    "\ud83d",
)


@pytest.mark.parametrize("row", RECORDS, ids=lambda row: "-".join(list(row)[:2]))
def test_every_place_holds_every_type(row: Json) -> None:
    """And every part can be missing, or stand there twice."""

    for path in places(row):
        lines = [encoded(changed(row, path, partial(_put, value=value))) for value in ODD]
        lines += [encoded(changed(row, path, change)) for change in (_remove, _double)]
        for line in lines:
            for shape in SHAPES:
                outcome(line, shape)


def _put(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _remove(holder: Any, key: Any) -> None:
    del holder[key]


def _double(holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, holder[key])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(line: bytes) -> None:
    outcome(line)


# --- damaged lines ---

CORPUS = [*real.candidates(), *map(encoded, RECORDS)]


def damaged(line: bytes, chance: random.Random) -> bytes:
    """One to three mishaps: cut off, cut out, repeated, overwritten, flipped, mixed up."""
    for _ in range(chance.randint(1, 3)):
        at, size = chance.randrange(len(line) + 1), chance.choice([1, 2, 8, 60, 500])
        line = chance.choice(
            [
                line[:at],
                line[:at] + line[at + size :],
                line[:at] + line[at : at + size] + line[at:],
                line[:at] + chance.choice(SPLINTERS) + line[at:],
                line[:at] + chance.randbytes(1) + line[at + 1 :],
                line[:at] + chance.choice(CORPUS)[at : at + size] + line[at + size :],
                line.replace(*chance.choice(SWAPS), chance.randint(1, 3)),
            ]
        )
    return line


SPLINTERS = [b'"', b"\\", b"{", b"]", b",", b"\x00", b"\xff", b"\xed\xa0\xbd", b"NaN", b"1e999",
    b"\\ud83d", b"\\u0000", b"null", b"</think>", b"<think>", BOM, b"[" * 2000]  # fmt: skip
SWAPS = [(b'"assistant"', b'"user"'), (b'"user"', b'"assistant"'), (b'"role"', b'"type"'),
    (b"1.0", b"NaN"), (b'"message"', b'"reasoning"'), (b": [", b": "), (b'"call_id"', b'"id"'),
    (b'"text"', b'"refusal"'), (b'"content"', b'"summary"'), (b"e", b"\xe9"),
    (b': "', b": ")]  # fmt: skip


def test_damaged_lines_of_real_files() -> None:
    """The same mishaps every time; about half of them leave a rollout."""
    chance = random.Random(1)
    used = 0
    for number in range(6000):
        line = damaged(chance.choice(CORPUS), chance)
        used += outcome(line, SHAPES[number % 3]) is not None
    assert 300 < used < 5700


# --- whole files ---

KINDS: tuple[Kind, ...] = get_args(Kind)


def prepared(options: Options, kind: Kind) -> None:
    tasks, pairs = TaskRules(duplicates="exact"), PairRules(pairs="all")
    recipe = Recipe(kind, eval_share=0.5, tasks=tasks, pairs=pairs)
    row: Any = custom.ROWS[kind]
    wanted = Wanted(recipe, row, custom.COLUMNS[kind])
    prepare(options, [wanted], SHAPES[1], formats.prompt)


STRICT = Rules(min_reward=0, max_chars=100_000, max_turns=9)
RARE = TaskRules(duplicates="normalised", max_per_task=2, min_pass_rate=0.0, balance="level")
RUNS: dict[str, Callable[[Options], None]] = {
    "filter": lambda options: filter_rollouts(options, Rules(), TaskRules(), Shape()),
    "strict": lambda options: filter_rollouts(options, STRICT, RARE, SHAPES[1]),
    **{kind: partial(prepared, kind=kind) for kind in KINDS},
}
SHORT = [line for line in CORPUS if len(line) < 3000]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Lines, good and bad, in any order; whole, doubled, cut off, with all kinds of line ends."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    lines = []
    for _ in range(draw(st.integers(0, 12))):
        line = chance.choice(SHORT)
        lines.append(damaged(line, chance) if chance.random() < 0.4 else line)
    breaks = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n" + BOM]))
    return breaks.join(lines) + draw(st.sampled_from([b"", b"\n", b"\r", b" "]))


@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(content=files())
def test_any_file_is_counted_whole(run: str, content: bytes) -> None:
    assume(not content.startswith((GZIP, ZSTD)))
    rows = [each.rstrip(b"\r").removeprefix(BOM) for each in content.split(b"\n")]
    expected = sum(bool(each.strip()) for each in rows)
    with tempfile.TemporaryDirectory() as name:
        file, output = Path(name, "in.jsonl"), Path(name, "out.jsonl")
        file.write_bytes(content)
        options = Options((str(file),), output, max_bad_share=1)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            try:
                RUNS[run](options)
            except UserError as error:
                assert f"Of {expected} lines" in str(error)
                return
        found = json.loads(Path(name, "out.manifest.json").read_text("utf-8"))["counts"]
        left = "rollouts" if run in KINDS else "kept"
        parts = [found[key] for key in ("rejected", "set aside", "removed", left)]
        assert found["read"] == expected == sum(map(total, parts))
        for side in Path(name).glob("out*.jsonl"):
            for row in side.read_bytes().splitlines():
                assert isinstance(json.loads(row.decode()), dict)
