"""Check prepared rows against the contract of their dataset kind.

    python -m rl_rollouts.validate training_data.jsonl
    python -m rl_rollouts.validate training_data.jsonl --kind preference --json

The contract is the JSON Schema in `rl_rollouts/schemas/`, and what a schema cannot say: that
results of tools answer calls, that the chosen completion is the better one, that lists which belong
to each other are equally long. It is that of the rows for a trainer of your own.
Exit code 0: all rows are as they should be, 1: some are not, 2: there are none to check.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from .engine.progress import progress
from .engine.write import files_of
from .errors import UserError, run
from .values import Kind

SCHEMAS = resources.files(__package__) / "schemas"
KINDS: tuple[Kind, ...] = get_args(Kind)
SHOWN = 20
"""Bad rows that are named, and problems of one row."""
LONGEST = 200
"""Characters of a problem: a message may quote the whole row."""
MARKS: dict[str, Kind] = {
    "chosen": "preference",
    "label": "unpaired",
    "states": "trajectories",
    "completion": "sft",
    "prompt": "prompts",
}
"""Of the keys of a row the first that says of which kind it is."""
Json = dict[str, Any]


class Row(NamedTuple):
    """One line of a prepared file."""

    place: str
    """`file:line`."""
    line: bytes
    content: Json
    """Empty where the line is no JSON object."""
    problems: list[str]
    """Each begins with its place in the row: `completion.0.content: ...`."""


def rows(path: Path, kind: Kind | None = None) -> Iterator[Row]:
    """The rows of a file or of its shards, each checked. Without a kind, it is the first row's.

    Raises:
        UserError: when there is no file, or the kind cannot be told.
    """
    files = files_of(path)
    if not files or path.suffix == ".parquet":
        raise UserError(f"There is no data file {path} in JSONL.", "Run `make prepare`.")
    with progress("reading rows", sum(file.stat().st_size for file in files), "B") as bar:
        for place, line in _lines(files):
            bar.update(len(line))
            content, problems = _decoded(line)
            if not problems:
                kind = kind or kind_of(content, place)
                problems = _by_schema(content, kind) or [*dict.fromkeys(_by_meaning(content, kind))]
            yield Row(place, line, content, problems)


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """The lines that are not blank, with their places."""
    for file in files:
        try:
            with file.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield f"{file}:{number}", line
        except OSError as error:
            raise UserError(f"Cannot read {file}: {error}.", "Give another file.") from None


def check_rows(path: Path, kind: Kind | None = None) -> int:
    """How many rows a file has, all as they should be; UserError names the first that are not."""
    count, bad, first = _counted(path, kind, SHOWN)
    if bad:
        shown = [f"{row.place}: {'; '.join(row.problems)}" for row in first]
        more = [f"... and {bad - SHOWN:,} more"] if bad > SHOWN else []
        raise UserError(
            "\n  ".join([f"{bad:,} of {count:,} rows are not as they should be:", *shown, *more]),
            f"{SCHEMAS.name}/ has the contract, which the rows of `prepare_for_*.py` keep.",
            exit_code=1,
        )
    return count


def _counted(path: Path, kind: Kind | None, most: float) -> tuple[int, int, list[Row]]:
    """Rows, bad rows, and the first of these, without their content."""
    first: list[Row] = []
    count = bad = 0
    for row in rows(path, kind):
        count += 1
        bad += bool(row.problems)
        if row.problems and len(first) < most:
            first.append(row._replace(line=b"", content={}))
    if not count:
        raise UserError(f"{path} holds no rows.", "Loosen the filters, or give another file.")
    return count, bad, first


def kind_of(content: Json, place: str) -> Kind:
    """The dataset kind of a row, by its keys."""
    for key, kind in MARKS.items():
        if key in content:
            return kind
    raise UserError(f"{place}: a row of no dataset kind.", f"Give --kind {' or '.join(KINDS)}.")


def _decoded(line: bytes) -> tuple[Json, list[str]]:
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return {}, [f"no JSON: {error}"]
    return (content, []) if isinstance(content, dict) else ({}, ["no JSON object"])


@cache
def _validator(kind: Kind) -> Any:
    """The schema of a kind, with the parts that all kinds share in it."""
    try:
        import jsonschema_rs
    except ImportError:
        remedy = "Run `pip install -e '.[validate]'`."
        raise UserError("jsonschema-rs is not installed.", remedy) from None
    text = (SCHEMAS / f"{kind}.json").read_text("utf-8").replace("chat.json#/", "#/")
    parts = (SCHEMAS / "chat.json").read_text("utf-8")
    schema = {**json.loads(text), "$defs": json.loads(parts)["$defs"]}
    return jsonschema_rs.Draft202012Validator(schema)


def _by_schema(content: Json, kind: Kind) -> list[str]:
    validator = _validator(kind)
    try:
        errors = () if validator.is_valid(content) else validator.iter_errors(content)
        return [_described(inner) for each in islice(errors, SHOWN) for inner in _inner(each)]
    except ValueError:  # it cannot quote what is nested more than 255 deep
        return ["nested too deeply, where the schema wants something flat"]


def _inner(error: Any) -> Iterator[Any]:
    """Of alternatives that all fail, what fails in the one that was meant: it is of the right
    type, and the least is wrong with it."""
    there, tries = error.instance_path, getattr(error.kind, "context", ())
    wrong = [[each.instance_path for each in tried if each.kind.name == "type"] for tried in tries]
    meant = [tried for tried, at in zip(tries, wrong, strict=True) if tried and there not in at]
    if not meant:
        yield error
    for each in min(meant, key=len, default=()):
        yield from _inner(each)


def _described(error: Any) -> str:
    where = ".".join(map(str, error.instance_path))
    said = "must not be there" if error.kind.name == "falseSchema" else error.message
    if len(said) > LONGEST:
        said = f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}"
    return f"{where}: {said}" if where else said


def _by_meaning(content: Json, kind: Kind) -> Iterator[str]:
    """What a schema cannot say, of a row that keeps its schema."""
    if kind == "trajectories":
        yield from _of_steps(content)
        return
    prompt = content["prompt"]
    sides = [side for side in ("completion", "chosen", "rejected") if side in content]
    for side in sides:
        yield from _of_calls(("prompt", prompt), (side, content[side]))
    if kind == "prompts":
        yield from _of_calls(("prompt", [*prompt, {"role": "assistant"}]))
    elif kind == "sft":
        turns = sum(message["role"] == "assistant" for message in content["completion"])
        yield from _of_tokens(content["tokens"], turns)
    elif kind == "preference":
        if not content["chosen_reward"] > content["rejected_reward"]:
            yield "chosen_reward: not above rejected_reward"
        if content["chosen"] == content["rejected"]:
            yield "chosen: the same as rejected"


def _of_steps(content: Json) -> Iterator[str]:
    sizes = {key: len(content[key]) for key in ("states", "actions", "rewards")}
    if len(set(sizes.values())) > 1:
        yield f"{sizes} are not equally long"
    yield from _of_tokens(content["tokens"], len(content["actions"]))
    for at, (state, action) in enumerate(zip(content["states"], content["actions"], strict=False)):
        if found := _of_calls((f"states.{at}", [*state, action])):
            yield from found
            return  # later states repeat it


def _of_calls(*parts: tuple[str, Sequence[Json]]) -> list[str]:
    """The first call or result of a conversation that is wrong. Its last calls need no results."""
    waiting: list[str | None] = []
    for part, messages in parts:
        for at, message in enumerate(messages):
            if message["role"] == "tool":
                call = message.get("tool_call_id")
                if not _answer(waiting, call):
                    return [f"{part}.{at}: a result of the call {call!r}; open calls: {waiting}"]
            elif waiting:
                return [f"{part}.{at}: the call {waiting[0]!r} has no result before this"]
            else:
                waiting = [call.get("id") for call in message.get("tool_calls", ())]
    return []


def _answer(waiting: list[str | None], answered: str | None) -> bool:
    """Take away the call of this id, else one without id, else, where none is named, the first."""
    usual = [call for call in (answered, None) if call in waiting] or waiting[: answered is None]
    if usual:
        waiting.remove(usual[0])
    return bool(usual)


def _of_tokens(tokens: Sequence[Json] | None, turns: int) -> Iterator[str]:
    if tokens is not None and len(tokens) != turns:
        yield f"tokens: {len(tokens)} entries for {turns} messages of the model"
    for at, entry in enumerate(tokens or ()):
        if len(entry["generated"]) != len(entry["logprobs"]):
            yield f"tokens.{at}: not as many log-probabilities as tokens"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rl_rollouts.validate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="prepared rows, JSONL; or its shards")
    parser.add_argument("--kind", choices=KINDS, help="by default that of the first row")
    parser.add_argument("--json", action="store_true", help="for scripts: every bad row")
    arguments = parser.parse_args()
    if not arguments.json:
        print(f"{check_rows(arguments.file, arguments.kind):,} rows are as they should be.")
        return
    count, bad, found = _counted(arguments.file, arguments.kind, math.inf)
    places = [{"place": row.place, "problems": row.problems} for row in found]
    print(json.dumps({"rows": count, "bad": places}, indent=2))
    raise SystemExit(int(bad > 0))


if __name__ == "__main__":
    run(main)
