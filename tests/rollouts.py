"""Small NeMo Gym records to test on."""

import json
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


def write(path: Path, *rows: Json | bytes) -> Path:
    """A JSONL file of records and of raw lines."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def read(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
