"""Small records to test on: NeMo Gym rollouts and plain chats."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def user(text: Any) -> Json:
    return {"role": "user", "content": text, "type": "message"}


def says(text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "msg", "role": "assistant", "content": content, "type": "message"}


def thinks(*texts: str) -> Json:
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"id": "rs", "type": "reasoning", "summary": summary}


def calls(call_id: str | None, name: str = "look", arguments: Any = '{"at": 1}') -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(call_id: str | None, output: Any = "seen") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def record(output: list[Any], given: Any = None, **more: Any) -> Json:
    """A rollout; `more` overrides or adds top-level keys."""
    return {
        "responses_create_params": {"input": [user("question")] if given is None else given},
        "response": {"output": output},
        "reward": 1.0,
        **more,
    }


def chat(*messages: Json, **more: Any) -> Json:
    """A plain chat with a reward."""
    return {"messages": list(messages), "reward": 1.0, **more}


def asks(text: Any = "question") -> Json:
    return {"role": "user", "content": text}


def replies(text: Any, *ids: str, **more: Any) -> Json:
    """A chat message of the model, with calls under the given ids."""
    made = [
        {"id": each, "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
        for each in ids
    ]
    return {
        "role": "assistant",
        "content": text,
        **({"tool_calls": made} if made else {}),
        **more,
    }


def returns(call_id: str, text: str = "seen") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def encoded(row: Json | bytes) -> bytes:
    return row if isinstance(row, bytes) else json.dumps(row).encode()


def write(path: Path, *rows: Json | bytes) -> Path:
    """A JSONL file of records and of raw lines."""
    path.write_bytes(b"".join(encoded(row) + b"\n" for row in rows))
    return path


def read(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def many(tasks: int, rollouts: int = 4) -> list[bytes]:
    """Rollouts of several tasks: tools, reasoning, ties, duplicates, and lines of every fate.

    What stands under `note` is a number at first, and text, objects and null further down.
    """
    return [_one(task, attempt) for task in range(tasks) for attempt in range(rollouts)]


def _one(task: int, attempt: int) -> bytes:
    number = 100 * task + attempt
    if number % 97 == 13:
        return b'{"reward": 1, "cut'
    if number % 89 == 5:
        return encoded(record([calls("1"), says("no result")], f"task {task}"))
    notes = (number, f"text {number}", {"of": [number]}, None)
    output = [says(f"answer {attempt % 3}")]
    if task % 3 == 0:
        output = [thinks("first I look"), calls(f"c{attempt}"), result(f"c{attempt}"), *output]
    stamps = {"_ng_task_index": task, "agent_ref": {"name": f"agent {task % 5 // 2}"}}
    return encoded(
        record(
            output,
            f"task {task}",
            reward=[1, 0.0, 0.5, 1][(task + attempt) % 4],
            level=task % 7 // 3,
            note=notes[min(3, task // 8)],
            **(stamps if task % 2 else {}),
        )
    )


def shown(rows: Iterable[Json]) -> list[str]:
    """Rows in an order that does not depend on theirs."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)
