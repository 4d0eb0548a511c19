"""Rollouts to chat rows as a short script does it, for the baselines.

Written apart from `rl_rollouts`, so that agreement of the two says something.
"""

import json
from typing import Any

Json = dict[str, Any]


def row_of(rollout: Json) -> Json | None:
    """Prompt, completion and tools of a rollout; None where the model wrote nothing."""
    request, response = rollout.get("responses_create_params"), rollout.get("response")
    if not request or not response:
        return None
    given = request["input"]
    prompt = messages([{"role": "user", "content": given}] if isinstance(given, str) else given)
    completion = messages(response["output"])
    if not completion or completion[0]["role"] != "assistant":
        return None
    return {"prompt": prompt, "completion": completion, "tools": tools(request["tools"])}


def is_whole(rollout: Json) -> bool:
    """Neither cut off at the token limit nor masked by the environment."""
    response = rollout.get("response") or {}
    cut_off = response.get("incomplete_details") or response.get("status") == "incomplete"
    return not cut_off and not rollout.get("mask_sample")


def task_of(rollout: Json) -> str:
    """What NeMo Gym stamped on the row, else the prompt."""
    agent, index = rollout.get("agent_ref"), rollout.get("_ng_task_index")
    if agent and index is not None:
        return f"{agent['name']}:{index}"
    return json.dumps(rollout["responses_create_params"]["input"])


def messages(items: list[Json]) -> list[Json]:
    """Responses items as chat messages: thoughts, text and calls of one turn are one message."""
    chat: list[Json] = []
    turn: Json | None = None
    for item in items:
        kind = item.get("type") or "message"
        if kind == "function_call_output":
            turn = None
            chat.append(
                {"role": "tool", "content": item["output"], "tool_call_id": item["call_id"]}
            )
        elif kind == "message" and item["role"] != "assistant":
            turn = None
            chat.append({"role": item["role"], "content": text_of(item["content"])})
        else:
            if turn is None:
                turn = {"role": "assistant", "content": ""}
                chat.append(turn)
            _extend(turn, kind, item)
    return chat


def _extend(turn: Json, kind: str, item: Json) -> None:
    if kind == "message":
        turn["content"] += text_of(item["content"])
    elif kind == "reasoning":
        thought = text_of(item["summary"])
        if thought:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thought
    elif kind == "function_call":
        function = {"name": item["name"], "arguments": json.loads(item["arguments"])}
        call = {"id": item["call_id"], "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or ())


def tools(schemas: list[Json] | None) -> list[Json] | None:
    """Flat Responses tools in chat format."""
    keys = ("name", "description", "parameters", "strict")
    return [
        {"type": "function", "function": {key: tool[key] for key in keys if tool[key] is not None}}
        for tool in schemas or ()
    ] or None
