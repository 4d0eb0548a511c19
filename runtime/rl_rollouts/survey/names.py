"""What is counted by name: agents, tools, reasons."""

from functools import lru_cache
from typing import Any

import msgspec

from ..data.keys import unread
from ..data.rollout import Rollout
from ..data.same import hash_of
from .bounded import Sampled
from .spread import Spread
from .summary import Agent, Key, Tool

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


class Reasons:
    """Lines that could not be used, by reason."""

    def __init__(self) -> None:
        self.lines = 0
        self._reasons: Sampled[tuple[str, int]] = Sampled(MOST_NAMES)

    def add(self, reason: str) -> None:
        """Count a line. What follows a colon is about this line alone."""
        self.lines += 1
        general = reason.split(":", maxsplit=1)[0]
        self._reasons.add(hash_of(general), (short(general), 1), _merged_reasons)

    def merge(self, other: "Reasons") -> None:
        self.lines += other.lines
        self._reasons.merge(other._reasons, _merged_reasons)

    def summary(self) -> dict[str, int]:
        """Most frequent first."""
        found: dict[str, int] = {}
        for reason, lines in self._reasons.values():
            found[reason] = found.get(reason, 0) + lines
        if others := self.lines - sum(found.values()):
            found["other reasons"] = found.get("other reasons", 0) + others
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def short(name: str) -> str:
    """A name as it is shown."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


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


def _merged_reasons(one: tuple[str, int], other: tuple[str, int]) -> tuple[str, int]:
    return one[0], one[1] + other[1]


@lru_cache(maxsize=64)
def _names(tools: bytes) -> frozenset[str]:
    """The names in the JSON text of tool schemas in chat format."""
    schemas: Any = msgspec.json.decode(tools)
    functions = [tool.get("function") for tool in schemas or [] if isinstance(tool, dict)]
    names = (function.get("name") for function in functions if isinstance(function, dict))
    return frozenset(name for name in names if isinstance(name, str))
