"""What goes wrong in a long run, done to good rollouts."""

from collections.abc import Iterator
from random import Random

import orjson

from records import Json

LATE = 0.9
"""Share of the file from which on types change."""
BROKEN_EVERY = 600
"""One line of so many cannot be read."""
DEGREES = ("all", "types", "none")
"""Everything; without lines that cannot be read and rows without a reward; without fields that
change their type either."""


class Mess:
    """Turns rollouts into lines; some are cut off, doubled, broken, or of other types."""

    def __init__(self, seed: int, size: int, degree: str) -> None:
        self._random = Random(seed)
        self._breaks = degree == "all"
        self._retypes = degree != "none"
        self._late_from = size * LATE
        self._seen: list[bytes] = []
        self._lines = 0

    def lines(self, rollout: Json, written: int) -> Iterator[tuple[str, bytes]]:
        """Each with what it is; usually one."""
        random = self._random
        kind = "rollouts"
        if random.random() < 0.02:
            kind = "rollouts cut off at the token limit"
            _cut(rollout)
        elif self._breaks and random.random() < 0.003:
            kind = "rollouts without a reward"
            rollout["reward"] = None
        elif self._retypes and written > self._late_from and random.random() < 0.2:
            kind = "rollouts with fields of another type"
            _retype(rollout)
        line = orjson.dumps(rollout) + b"\n"
        yield kind, line
        if self._seen and random.random() < 0.015:
            yield "duplicates", random.choice(self._seen)
        self._remember(line)
        self._lines += 1
        if self._breaks and self._lines % BROKEN_EVERY == 40:
            yield "broken lines", _break(random, line)

    def _remember(self, line: bytes) -> None:
        """A few lines, of which some are from long ago."""
        if len(self._seen) < 64:
            self._seen.append(line)
        elif self._random.random() < 0.1:
            self._seen[self._random.randrange(64)] = line


def _cut(rollout: Json) -> None:
    """The model ran into its token limit, and failed for it."""
    response = rollout["response"]
    response["incomplete_details"] = {"reason": "max_output_tokens"}
    response["status"] = "incomplete"
    rollout["reward"] = 0.0
    last = response["output"][-1]["content"][0]
    last["text"] = last["text"][: len(last["text"]) // 2]


def _retype(rollout: Json) -> None:
    """Say the same in other types, as another version of an environment does."""
    for item in rollout["response"]["output"]:
        if item.get("role") == "assistant":
            item["content"] = item["content"][0]["text"]
    rollout["response"]["usage"] = None
    rollout["response"]["metadata"] = {"attempt": "2"}
    rollout["metadata"] = ["late", 2]
    if "expected_answer" in rollout:
        rollout["expected_answer"] = [rollout["expected_answer"], 1]


def _break(random: Random, line: bytes) -> bytes:
    """No JSON object, in one of the ways of crashed writers and careless editors."""
    return random.choice(
        [
            line[: len(line) // 2] + b"\n",
            b"<PLACEHOLDER ROW>\n",
            b"\x00" * 40 + b"\n",
            line[:60] + b"\xff\xfe" + line[60:],
            b"[]\n",
        ]
    )
