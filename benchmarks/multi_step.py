"""Environments in which the model acts more than once: tools, users, and repositories."""

from functools import partial

import orjson

from records import Json, Writer, request, said
from single_step import Attempt

TYPES = ("string", "string", "integer", "boolean", "number")


def office(write: Writer) -> Attempt:
    """Many tools with large schemas; few, short steps."""
    return _tool_task(write, tools=27, steps=4, result=("listing", 300), reasoning=0.0)


def search(write: Writer) -> Attempt:
    """Few tools that return pages of text; the model thinks before each step."""
    return _tool_task(write, tools=3, steps=9, result=("listing", 2500), reasoning=0.9)


def python_tool(write: Writer) -> Attempt:
    """Maths with an interpreter."""
    return _tool_task(write, tools=1, steps=4, result=("maths", 250), reasoning=0.5)


def _tool_task(
    write: Writer, *, tools: int, steps: int, result: tuple[str, int], reasoning: float
) -> Attempt:
    """A task that is solved with tools.

    Args:
        steps: how often the model calls tools, at most.
        result: kind and median characters of what a tool returns.
        reasoning: share of the steps before which the model thinks.
    """
    schemas = [schema_of(write) for _ in range(tools)]
    prompt = [said("system", write.text("prose", 400)), said("user", write.text("prose", 200))]
    asked = request(prompt, schemas, parallel_tool_calls=steps > 4)
    wanted = [write.text("listing", 60) for _ in range(2)]
    solved = write.pass_rate()
    step = partial(step_of, write, schemas, result, reasoning)

    def attempt() -> Json:
        output = [item for _ in range(1 + write.number(steps)) for item in step()]
        output.append(write.message(write.text("prose", 500)))
        rollout = write.rollout(asked, output, float(write.chance(solved)))
        return rollout | {"ground_truth": wanted, "turns_used": len(output), "category": "tools"}

    return attempt


def step_of(
    write: Writer,
    schemas: list[Json],
    result: tuple[str, int],
    reasoning: float,
    *,
    parallel: float = 0.2,
    thought: tuple[str, int] = ("prose", 700),
) -> list[Json]:
    """Maybe a thought, calls that are sometimes parallel, and their results."""
    count = 2 + write.number(3) if write.chance(parallel) else 1
    calls = [_call(write, write.random.choice(schemas)) for _ in range(count)]
    thoughts = [write.reasoning(write.text(*thought))] if write.chance(reasoning) else []
    return [*thoughts, *calls, *(write.result(call, write.text(*result)) for call in calls)]


def _call(write: Writer, schema: Json) -> Json:
    arguments: Json = {}
    for name, field in schema["parameters"]["properties"].items():
        arguments[name] = _argument(write, field["type"])
    return write.call(schema["name"], orjson.dumps(arguments).decode())


def _argument(write: Writer, kind: str) -> object:
    if kind == "string":
        return write.text("prose", 40)
    if kind == "boolean":
        return write.chance(0.5)
    return write.number(1000) if kind == "integer" else write.number(1000) / 8


def schema_of(write: Writer) -> Json:
    """A tool as the Responses API describes it; no two have the same parameters."""
    names = [f"{write.random.choice(TYPES)}_{write.number(40)}" for _ in range(1 + write.number(4))]
    properties = {
        name: {"type": write.random.choice(TYPES), "description": write.text("prose", 60, 0.2)}
        for name in names
    }
    parameters = {"type": "object", "properties": properties, "required": names}
    return {
        "name": f"tool_{write.number(1000)}",
        "parameters": {**parameters, "additionalProperties": False},
        "strict": False,
        "type": "function",
        "description": write.text("prose", 90, 0.2),
    }


def dialogue(write: Writer) -> Attempt:
    """A customer who is played by a model: user turns and tool calls both stand in the output."""
    schemas = [schema_of(write) for _ in range(14)]
    prompt = [said("system", write.text("prose", 4000, 0.3)), said("user", write.text("prose", 90))]
    asked = request(prompt, schemas)
    solved = write.pass_rate()
    step = partial(step_of, write, schemas, ("listing", 700), 0.3)

    def turn() -> list[Json]:
        acts = step() if write.chance(0.6) else []
        return [*acts, write.message(write.text("prose", 300))]

    def attempt() -> Json:
        output = turn()
        for _ in range(2 + write.number(8)):
            output += [said("user", write.text("prose", 120)), *turn()]
        checks = [write.chance(solved) for _ in range(7)]
        info = {"checks": checks, "user_model": "simulated", "policy": None}
        reward = sum(checks) / len(checks)
        return write.rollout(asked, output, reward) | {"info": info, "terminated": True}

    return attempt


def game(write: Writer) -> Attempt:
    """Moves and boards in turn, without tools. Losing costs."""
    asked = request([said("user", write.text("prose", 500, 0.2))])
    solved = write.pass_rate()

    def attempt() -> Json:
        output = [write.message(f"<action>{write.number(9)}</action>")]
        for _ in range(write.number(14)):
            board = "\n".join("#." * 5 for _ in range(8))
            output += [said("user", board), write.message(write.text("prose", 90))]
        reward = 1.0 if write.chance(solved) else -1.0
        return write.rollout(asked, output, reward) | {"terminated": True, "truncated": False}

    return attempt


def repository(write: Writer) -> Attempt:
    """Dozens of shell commands; the row carries the instance, the patch and the logs of tests."""
    prompt = [
        said("system", write.text("prose", 2500, 0.2)),
        said("user", write.text("code", 3000)),
    ]
    shell = schema_of(write)
    asked = request(prompt, [shell])
    instance = {
        "instance_id": write.id("instance"),
        "patch": write.text("code", 2500),
        "test_patch": write.text("code", 3500),
        "problem_statement": prompt[1]["content"],
        "version": "1.4",
        "FAIL_TO_PASS": [f"tests/test_{write.number(99)}.py::test_one" for _ in range(4)],
    }
    solved = write.pass_rate() * 0.6
    step = partial(step_of, write, [shell], ("code", 900), 0.2)

    def attempt() -> Json:
        right = write.chance(solved)
        output = [item for _ in range(4 + write.number(60)) for item in step()]
        output.append(write.message(write.text("prose", 600)))
        return write.rollout(asked, output, float(right)) | {
            "instance_config": instance,
            "model_patch": write.text("code", 1200),
            "resolved": right,
            "mask_sample": write.chance(0.03),
            "agent_run_time": write.number(10**6) / 1000,
            "eval_log": write.text("listing", 9000),
        }

    return attempt
