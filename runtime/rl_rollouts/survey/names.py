"""What is counted by name: agents, tools, reasons."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..data.keys import unread
from ..data.rollout import Rollout
from ..data.same import hash_of
from .bounded import Sampled
from .spread import Spread
from .summary import Agent, File, Key, Tool

MOST_NAMES = 200
"""Of a kind, that are told apart."""
LONGEST_NAME = 120
"""Characters of a name that are shown."""


class AgentCount(msgspec.Struct):
    """What is held of an agent."""

    name: str | None
    solved: int
    rewards: Spread


class Agents:
    """Rewards by agent."""

    def __init__(self) -> None:
        self._agents: Sampled[AgentCount] = Sampled(MOST_NAMES)

    def add(self, name: str | None, reward: float | None, solved: bool) -> None:
        key = hash_of("" if name is None else f"agent {name}")
        rewards = Spread(digits=2)
        if reward is None:
            return
        rewards.add(reward)
        one = AgentCount(None if name is None else short(name), int(solved), rewards)
        self._agents.add(key, one, _merged_agents)

    def merge(self, other: "Agents") -> None:
        self._agents.merge(other._agents, _merged_agents)

    def summary(self) -> list[Agent]:
        agents = [
            Agent(each.name, each.rewards.count, each.solved, figures)
            for each in self._agents.values()
            if (figures := each.rewards.figures())
        ]
        return sorted(agents, key=lambda each: (-each.rollouts, each.name or ""))


class Tools:
    """Calls by tool."""

    def __init__(self) -> None:
        self.calls = 0
        self._tools: Sampled[Tool] = Sampled(MOST_NAMES)

    def add(self, rollout: Rollout) -> tuple[bool, bool]:
        """Count the calls; returns whether there are any, and any of a tool without a schema."""
        used: dict[str, int] = {}
        for message in rollout.completion:
            for call in message.tool_calls:
                used[call.function.name] = used.get(call.function.name, 0) + 1
        known = _names(bytes(rollout.tools)) if used else frozenset()
        for name, calls in used.items():
            self.calls += calls
            tool = Tool(short(name), calls, 1, int(name not in known))
            self._tools.add(hash_of(name), tool, _merged_tools)
        return bool(used), not used.keys() <= known

    def merge(self, other: "Tools") -> None:
        self.calls += other.calls
        self._tools.merge(other._tools, _merged_tools)

    def summary(self) -> list[Tool]:
        tools = map(msgspec.structs.replace, self._tools.values())
        return sorted(tools, key=lambda each: (-each.calls, each.name))


class Keys:
    """Keys that nothing reads."""

    def __init__(self) -> None:
        self._keys: Sampled[Key] = Sampled(MOST_NAMES)

    def add(self, line: bytes) -> None:
        for name, decisive in unread(line):
            self._keys.add(hash_of(name), Key(short(name), 1, int(decisive)), _merged_keys)

    def merge(self, other: "Keys") -> None:
        self._keys.merge(other._keys, _merged_keys)

    def summary(self) -> list[Key]:
        keys = map(msgspec.structs.replace, self._keys.values())
        return sorted(keys, key=lambda each: (-each.decisive, -each.records, each.name))


class Reason(NamedTuple):
    """Lines that could not be used for one reason."""

    words: str
    lines: int
    example: str
    """All that was said of one of them, of several the first in the alphabet."""


class Reasons:
    """Lines that could not be used, by reason."""

    def __init__(self) -> None:
        self.lines = self.damaged = 0
        self._reasons: Sampled[Reason] = Sampled(MOST_NAMES)

    def add(self, reason: str, *, damaged: bool) -> None:
        """Count a line. What follows a colon is about this line alone."""
        self.lines += 1
        self.damaged += damaged
        general = reason.split(":", maxsplit=1)[0]
        one = Reason(short(general), 1, short(reason))
        self._reasons.add(hash_of(general), one, _merged_reasons)

    def merge(self, other: "Reasons") -> None:
        self.lines += other.lines
        self.damaged += other.damaged
        self._reasons.merge(other._reasons, _merged_reasons)

    def examples(self) -> dict[str, str]:
        """What was said of one line of each reason, where that is more."""
        held = sorted(self._reasons.values())
        return {words: example for words, _, example in held if example != words}

    def summary(self) -> dict[str, int]:
        """Most frequent first."""
        found: dict[str, int] = {}
        for reason, lines, _ in self._reasons.values():
            found[reason] = found.get(reason, 0) + lines
        if others := self.lines - sum(found.values()):
            found["other reasons"] = found.get("other reasons", 0) + others
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


class Files:
    """What each file holds."""

    def __init__(self) -> None:
        self._files: Sampled[File] = Sampled(MOST_NAMES)

    def add(self, name: str, rollouts: int, reasons: Reasons) -> None:
        said = next(iter(reasons.summary()), "")
        lines = rollouts + reasons.lines
        one = File(short(name, at_end=True), lines, rollouts, reasons.damaged, said)
        self._files.add(hash_of(name), one, _merged_files)

    def merge(self, other: "Files") -> None:
        self._files.merge(other._files, _merged_files)

    def summary(self) -> list[File]:
        return sorted(self._files.values(), key=lambda each: each.name)


def short(name: str, *, at_end: bool = False) -> str:
    """A name as it is shown: its beginning, or of a path its end."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"…{name[-LONGEST_NAME:]}" if at_end else f"{name[:LONGEST_NAME]}…"


def _merged_agents(one: AgentCount, other: AgentCount) -> AgentCount:
    one.solved += other.solved
    one.rewards.merge(other.rewards)
    return one


def _merged_keys(one: Key, other: Key) -> Key:
    one.records += other.records
    one.decisive += other.decisive
    return one


def _merged_tools(one: Tool, other: Tool) -> Tool:
    one.calls += other.calls
    one.rollouts += other.rollouts
    one.unknown += other.unknown
    return one


def _merged_reasons(one: Reason, other: Reason) -> Reason:
    return Reason(one.words, one.lines + other.lines, min(one.example, other.example))


def _merged_files(one: File, other: File) -> File:
    reason = min(filter(None, (one.reason, other.reason)), default="")
    rollouts, lines = one.rollouts + other.rollouts, one.lines + other.lines
    return File(one.name, lines, rollouts, one.damaged + other.damaged, reason)


@lru_cache(maxsize=64)
def _names(tools: bytes) -> frozenset[str]:
    """The names in the JSON text of tool schemas in chat format."""
    schemas: Any = msgspec.json.decode(tools)
    functions = [tool.get("function") for tool in schemas or [] if isinstance(tool, dict)]
    names = (function.get("name") for function in functions if isinstance(function, dict))
    return frozenset(name for name in names if isinstance(name, str))
