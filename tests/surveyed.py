"""Rollouts of numbered tasks, what a survey finds in them, and the page that shows it."""

import json
import random
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from rl_rollouts.data.normalise import normalise
from rl_rollouts.report.page import Report, page
from rl_rollouts.survey import Summary, Survey
from rollouts import Json, calls, record, result, says, thinks, user

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def rollout(
    task: int, reward: float, *output: Json, agent: str = "shop", tools: bool = False, **more: Any
) -> Json:
    """A rollout of a numbered task, whose prompt is the same whenever its task is."""
    made = record(
        list(output) or [says("yes")],
        [user(f"question {task}")],
        reward=reward,
        agent_ref={"name": agent},
        _ng_task_index=task,
        **more,
    )
    if tools:
        made["responses_create_params"]["tools"] = [TOOL]
    return made


def surveyed(records: list[Json], solved_from: float = 0.5) -> Survey:
    found = Survey(solved_from)
    for each in records:
        line = json.dumps(each).encode()
        found.add(normalise(line), line)
    return found


def mixed(count: int) -> list[Json]:
    """Rollouts that differ in everything that is counted."""
    chance = random.Random(count)
    made = []
    for index in range(count):
        turn = [thinks("hm"), calls("1", chance.choice(["look", "made_up"])), result("1")]
        output = [*(turn if chance.random() < 0.5 else []), says("word " * chance.randrange(1, 99))]
        agent, reward = (
            f"agent {chance.randrange(9)}",
            chance.choice([0, 0.3, 1, chance.gauss(0, 9)]),
        )
        made.append(rollout(index // 3, reward, *output, agent=agent, tools=index % 2 == 0))
    return made


class Read(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.style = ""
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attributes
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self._words.append(data)


def shown(summary: Summary, **more: Any) -> Read:
    return Read(page(Report(summary=summary, inputs=["rollouts.jsonl"], **more)))
