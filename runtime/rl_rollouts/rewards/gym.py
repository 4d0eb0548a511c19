"""The reward that a NeMo Gym resources server gives, over HTTP.

Its `/verify` takes what NeMo Gym calls a BaseVerifyRequest (`nemo_gym/base_resources_server.py`):
the request that the model was given, the response in the form of OpenAI's Responses API, and the
fields of the task beside them, which are the row's metadata. It answers with all of that and
`reward`. Servers that verify the state of a session cannot be asked this way: the session is over.
"""

import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from ..errors import UserError
from ..http_json import NoAnswer, Refused, ask

EXPECTED_KEYS = ("expected_answer", "ground_truth", "verifier_metadata")
"""Where NeMo Gym's tasks have their ground truth."""


def nemo_gym(
    prompt: list[dict[str, Any]],
    response: str,
    ground_truth: Any,
    metadata: dict[str, Any],
    *,
    url: str = "http://localhost:8000",
    timeout: float = 60.0,
    retries: int = 5,
    pause: float = 0.5,
) -> float:
    """Ask a server that runs (`ng_run`) to verify one response.

    Args:
        url: of the resources server; its `/verify` is called unless another path is given.
        timeout: seconds that one attempt may take.
        retries: attempts after the first, when there is no connection, no answer in time, or an
            error of the server (5xx). A request that it refuses (4xx) is not repeated.
        pause: seconds before the second attempt; doubled for each further one, 30 at most.

    Raises:
        UserError: when there is no reward in the end.
    """
    address = verify_address(url)
    body = verify_request(prompt, response, ground_truth, metadata)
    try:
        answer = ask(address, body, timeout=timeout, retries=retries, pause=pause)
    except Refused as problem:
        raise UserError(
            f"{address} refuses the request: {problem}",
            "See that it is the server of this task, and that the rows carry its fields: "
            "they come from the rollouts' own keys.",
            exit_code=1,
        ) from None
    except NoAnswer as problem:
        raise UserError(
            f"{address} gave no reward: {problem}",
            "See that the server runs (`ng_run`) and can be reached from here, and look at its "
            "log.",
            exit_code=1,
        ) from None
    return _reward(address, answer)


def verify_address(url: str) -> str:
    """The address of /verify.

    Raises:
        UserError: for what is no http address.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UserError(
            f"{url!r} is no address of a server.", "Give one like http://localhost:8000."
        )
    path = parts.path if parts.path.strip("/") else "/verify"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def verify_request(
    prompt: list[dict[str, Any]], response: str, ground_truth: Any, metadata: dict[str, Any]
) -> dict[str, Any]:
    """The body of a request to /verify."""
    text = {"type": "output_text", "text": response, "annotations": []}
    message = {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    facts = dict(metadata)
    if ground_truth is not None and not any(key in facts for key in EXPECTED_KEYS):
        facts["expected_answer"] = ground_truth
    return {
        **facts,
        "responses_create_params": {"input": [item for each in prompt for item in _items(each)]},
        "response": {
            "id": "resp_0",
            "object": "response",
            "created_at": int(time.time()),
            "model": "policy",
            "status": "completed",
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        },
    }


def _items(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A chat message as items of the Responses API."""
    role, content = message["role"], message.get("content") or ""
    if role == "tool":
        call_id = message.get("tool_call_id") or "call_0"
        yield {"type": "function_call_output", "call_id": call_id, "output": content}
        return
    if content or not message.get("tool_calls"):
        parts = content if isinstance(content, str) else list(map(_part, content))
        yield {"type": "message", "role": role, "content": parts}
    for call in message.get("tool_calls") or []:
        function = call["function"]
        arguments = function["arguments"]
        yield {
            "type": "function_call",
            "call_id": call.get("id") or "call_0",
            "name": function["name"],
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
        }


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the content of a chat message."""
    if part.get("type") == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
    return {"type": "input_text", "text": part.get("text", "")}


def _reward(address: str, answer: Any) -> float:
    try:
        return float(answer["reward"])
    except (ValueError, TypeError, LookupError):
        raise UserError(
            f"{address} answered without a reward: {json.dumps(answer)[:300]}",
            "See that it is the /verify of a NeMo Gym resources server.",
            exit_code=1,
        ) from None
