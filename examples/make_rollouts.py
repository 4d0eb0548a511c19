"""Write the sample rollouts of this repository, in the format of NeMo Gym v0.5.

    python examples/make_rollouts.py

The environment is a corner shop that does not exist. Its three kinds of task are a sum to do in
one's head, a bill that needs tools (also called in parallel), and a customer who must be asked
first. Four rollouts a task, some right and some wrong; here and there one is cut off at the token
limit or masked. The same seed writes the same bytes.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "rollouts" / "shop.jsonl"
SAMPLE = ROOT / "templates" / "{{base}}" / "tests" / "sample_rollouts.jsonl"
ROLLOUTS_PER_TASK = 4
CREATED = 1_767_225_600
"""2026-01-01, seconds since the epoch."""

Json = dict[str, Any]

PRICES = {"apple": 3, "bread": 4, "cheese": 9, "coffee": 7, "lamp": 25, "soap": 2, "tea": 5}
TOOLS = [
    {
        "type": "function",
        "name": "price_of",
        "description": "Price of one item in coins.",
        "parameters": {
            "type": "object",
            "properties": {"item": {"type": "string"}},
            "required": ["item"],
            "additionalProperties": False,
        },
        "strict": True,
    },
    {
        "type": "function",
        "name": "multiply",
        "description": "Product of two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
        "strict": True,
    },
]


class Writer:
    """Items of one response, with ids that count up."""

    def __init__(self, name: str) -> None:
        self.items: list[Json] = []
        self._name = name

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._name}_{len(self.items)}"

    def think(self, text: str) -> None:
        summary = [{"type": "summary_text", "text": text}]
        self.items.append({"id": self._id("rs"), "summary": summary, "type": "reasoning"})

    def say(self, text: str) -> None:
        content = [{"annotations": [], "text": text, "type": "output_text"}]
        self.items.append(
            {
                "id": self._id("msg"),
                "content": content,
                "role": "assistant",
                "status": "completed",
                "type": "message",
            }
        )

    def hear(self, text: str) -> None:
        self.items.append({"role": "user", "content": text, "type": "message"})

    def call(self, name: str, **arguments: Any) -> str:
        call_id = self._id("call")
        self.items.append(
            {
                "id": self._id("fc"),
                "arguments": json.dumps(arguments),
                "call_id": call_id,
                "name": name,
                "status": "completed",
                "type": "function_call",
            }
        )
        return call_id

    def result(self, call_id: str, output: Any) -> None:
        self.items.append(
            {"call_id": call_id, "output": json.dumps(output), "type": "function_call_output"}
        )


def head_task(random_: random.Random) -> Json:
    count, item = random_.randint(2, 9), random_.choice(sorted(PRICES))
    question = f"One {item} costs {PRICES[item]} coins. What do {count} cost? Answer with a number."
    return {"kind": "head", "item": item, "count": count, "question": question, "tools": []}


def bill_task(random_: random.Random) -> Json:
    one, other = random_.sample(sorted(PRICES), 2)
    count = random_.randint(2, 9)
    question = f"I buy {count} times {one} and one {other}. What do I pay?"
    return {
        "kind": "bill",
        "item": one,
        "other": other,
        "count": count,
        "question": question,
        "tools": TOOLS,
    }


def customer_task(random_: random.Random) -> Json:
    item, count = random_.choice(sorted(PRICES)), random_.randint(2, 9)
    name = random_.choice(["Ada", "Alan", "Barbara", "Edsger", "Grace", "Kurt", "Emmy"])
    question = f"I am {name} and I want some {item}. What do I pay?"
    return {
        "kind": "customer",
        "item": item,
        "count": count,
        "question": question,
        "tools": TOOLS[:1],
    }


def answer_of(task: Json) -> int:
    total: int = PRICES[task["item"]] * task["count"]
    return total + PRICES[task["other"]] if task["kind"] == "bill" else total


def play(task: Json, writer: Writer, right: bool, random_: random.Random) -> None:
    """Let the pretended model do a task, well or badly."""
    answer = answer_of(task)
    said = answer if right else answer + random_.choice([-2, -1, 1, 10])
    if task["kind"] == "head":
        if random_.random() < 0.5:
            writer.think(f"{task['count']} times {PRICES[task['item']]} is {said}.")
        writer.say(str(said))
    elif task["kind"] == "bill":
        _play_bill(task, writer, right, said)
    elif right:
        writer.say(f"How many {task['item']} do you want?")
        writer.hear(f"{task['count']}, please.")
        price = writer.call("price_of", item=task["item"])
        writer.result(price, PRICES[task["item"]])
        writer.say(f"You pay {said} coins.")
    else:
        writer.say(f"You pay {said} coins.")


def _play_bill(task: Json, writer: Writer, right: bool, said: int) -> None:
    if not right:
        writer.say(f"You pay {said} coins.")
        return
    writer.think("I need both prices first.")
    calls = [(item, writer.call("price_of", item=item)) for item in (task["item"], task["other"])]
    for item, call in calls:
        writer.result(call, PRICES[item])
    product = writer.call("multiply", a=PRICES[task["item"]], b=task["count"])
    writer.result(product, PRICES[task["item"]] * task["count"])
    writer.say(f"You pay {said} coins.")


def record(task: Json, index: int, attempt: int, random_: random.Random) -> Json:
    """One line of a rollout file."""
    right = attempt == 0 or (attempt < ROLLOUTS_PER_TASK - 1 and random_.random() < 0.6)
    cut = random_.random() < 0.02
    writer = Writer(f"{index:03d}{attempt}")
    play(task, writer, right and not cut, random_)
    system = "You help in a corner shop. Be short and exact."
    return {
        "responses_create_params": {
            "input": [
                {"role": "system", "content": system, "type": "message"},
                {"role": "user", "content": task["question"], "type": "message"},
            ],
            "tools": task["tools"],
            "parallel_tool_calls": True,
            "temperature": 1.0,
        },
        "response": {
            "id": f"resp_{index:03d}{attempt}",
            "created_at": CREATED + index,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": None,
            "metadata": {},
            "model": "pretend-model",
            "object": "response",
            "output": writer.items,
            "parallel_tool_calls": True,
            "status": "incomplete" if cut else "completed",
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": task["tools"],
            "top_p": 1.0,
            "usage": None,
        },
        "reward": 1.0 if right and not cut else 0.0,
        "expected_answer": str(answer_of(task)),
        "mask_sample": random_.random() < 0.01,
        "_ng_task_index": index,
        "_ng_rollout_index": attempt,
        "agent_ref": {"type": "responses_api_agents", "name": "shop_agent"},
    }


def records(tasks: int) -> Iterator[Json]:
    """Rollouts in the order in which they end, which is not the order of the tasks."""
    random_ = random.Random(2026)
    makers = (head_task, bill_task, customer_task)
    questions: dict[str, Json] = {}
    while len(questions) < tasks:
        task = makers[len(questions) % len(makers)](random_)
        questions.setdefault(task["question"], task)
    rows = [
        record(task, index, attempt, random_)
        for index, task in enumerate(questions.values())
        for attempt in range(ROLLOUTS_PER_TASK)
    ]
    random_.shuffle(rows)
    return iter(rows)


def text(tasks: int) -> str:
    """The whole file."""
    return "".join(json.dumps(row) + "\n" for row in records(tasks))


FILES = {EXAMPLE: 60, SAMPLE: 18}
"""Tasks in each file."""

if __name__ == "__main__":
    for path, count in FILES.items():
        path.write_text(text(count), "utf-8")
        print(f"wrote {path.relative_to(ROOT)}: {count * ROLLOUTS_PER_TASK} rollouts")
