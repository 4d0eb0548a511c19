"""Score recorded rollouts with rewards.py, and say how well that gives the recorded rewards.

    python -m rl_rollouts.rewards.check --input rollouts.jsonl

Online training earns what rewards.py says, not what was recorded: look here before it costs GPUs.
Nothing is written. Exit code 1 where `score` fails on rollouts or gives all of them the same.
"""

import argparse
import heapq
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..data.hooks import NO_HOOKS, Hooks, project_read
from ..data.named import Keys, add_keys, keys_of
from ..data.rollout import NULL, Rollout
from ..engine.progress import progress
from ..errors import UserError, run
from ..report.numbers import number, percent
from ..values import demand
from .checked import BadReward, Score, load_score, reward_of
from .recorded import chat, last_text, rollouts

NO_RESPONSE = "no response"
"""Why a prompt is not scored."""
AGREE = 1e-6
"""Rewards that differ by less are the same."""
WORST = 3
"""Disagreements that are shown."""
FAILURES = 3
"""Errors that are shown."""
LETTERS = 300
"""Of a prompt or a response that is shown."""


class Scored(NamedTuple):
    """What one rollout was worth."""

    recorded: float
    computed: float
    task: str
    agent: str
    unknown: bool
    """Whether it has no ground truth."""


class Checked:
    """All that was scored, and what of it is shown."""

    def __init__(self) -> None:
        self.rows: list[Scored] = []
        self.failures: list[str] = []
        self.failed = 0
        self.unusable: Counter[str] = Counter()
        self.worst: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, rollout: Rollout, score: Score) -> None:
        recorded = rollout.reward
        if recorded is None or not rollout.completion:
            self.unusable["no reward" if rollout.completion else NO_RESPONSE] += 1
            return
        prompt, response = chat(rollout.prompt), last_text(rollout)
        truth = msgspec.json.decode(rollout.ground_truth)
        facts = {key: msgspec.json.decode(value) for key, value in rollout.metadata.items()}
        try:
            computed = reward_of(prompt, response, truth, facts, score)
        except BadReward as error:
            self.failed += 1
            if len(self.failures) < FAILURES:
                self.failures.append(error.problem)
            return
        unknown = rollout.ground_truth == NULL
        agent = rollout.agent or "no agent"
        self.rows.append(Scored(recorded, computed, rollout.task, agent, unknown))
        apart = abs(recorded - computed)
        if apart > AGREE and (len(self.worst) < WORST or apart > self.worst[0][0]):
            shown = {
                "recorded": recorded,
                "computed": computed,
                "task": rollout.task,
                "prompt": prompt[-1].get("content") or "",
                "response": response,
                "ground_truth": truth,
            }
            put = heapq.heappush if len(self.worst) < WORST else heapq.heappushpop
            put(self.worst, (apart, -len(self.rows), shown))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rl_rollouts.rewards.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", nargs="+", required=True, help="rollouts: files or folders")
    add_keys(parser)
    parser.add_argument("--limit", type=int, help="only the first rollouts")
    parser.add_argument("--rewards", default="rewards", help="module, or module:function")
    parser.add_argument("--solved_from", type=float, default=0.5, help="lowest reward that solves")
    parser.add_argument("--json", action="store_true", help="the same for scripts")
    arguments = parser.parse_args()
    demand("--limit", arguments.limit, math.inf, 1)
    score, hooks = load_score(arguments.rewards), Hooks(read=project_read())
    checked = check(arguments.input, score, arguments.limit, hooks, keys_of(arguments.keys))
    found = summary(checked, arguments.solved_from)
    print(json.dumps(found) if arguments.json else in_words(found))
    stop_when_useless(found, arguments.rewards)


def check(
    inputs: Sequence[str],
    score: Score,
    limit: int | None = None,
    hooks: Hooks = NO_HOOKS,
    keys: Keys = (),
) -> Checked:
    """Score every rollout that can be read, by the library or by the project's `read`.

    Raises:
        UserError: when there is none.
    """
    checked = Checked()
    with progress("scoring", limit, " rollouts") as bar:
        for rollout in islice(rollouts(inputs, checked.unusable, hooks, keys), limit):
            checked.add(rollout, score)
            bar.update()
    if checked.unusable and not checked.rows and set(checked.unusable) == {NO_RESPONSE}:
        raise UserError(
            f"These are {checked.unusable[NO_RESPONSE]:,} prompts without a response: there is "
            "nothing to score.",
            "`make check` tries the reward on them. To compare it with recorded rewards, give "
            "rollouts.",
        )
    if not checked.rows and not checked.failed:
        reasons = "; ".join(f"{count} x {why}" for why, count in checked.unusable.most_common(3))
        raise UserError(
            f"There is no rollout to score: {reasons or 'the input is empty'}.",
            "Give rollouts as filter_rollouts.py reads them.",
        )
    return checked


def summary(checked: Checked, solved_from: float) -> dict[str, Any]:
    """All numbers that are shown."""
    agents = defaultdict(list)
    for row in checked.rows:
        agents[row.agent].append(row)
    per_agent = {name: compared(rows, solved_from) for name, rows in sorted(agents.items())}
    worst = [shown for _, _, shown in sorted(checked.worst, key=lambda each: each[:2])[::-1]]
    return {
        **compared(checked.rows, solved_from),
        "failed": checked.failed,
        "failures": checked.failures,
        "unusable": dict(checked.unusable.most_common()),
        "all_the_same": len({row.computed for row in checked.rows}) == 1,
        "agents": per_agent if len(per_agent) > 1 else {},
        "worst": worst,
    }


def compared(rows: Sequence[Scored], solved_from: float) -> dict[str, Any]:
    """Recorded against computed rewards."""
    recorded, computed = [row.recorded for row in rows], [row.computed for row in rows]
    tasks = defaultdict(list)
    for row in rows:
        tasks[row.task].append(row.computed)
    several = [rewards for rewards in tasks.values() if len(rewards) > 1]
    solved = Counter((row.recorded >= solved_from, row.computed >= solved_from) for row in rows)
    return {
        "compared": len(rows),
        "agree": sum(abs(row.recorded - row.computed) <= AGREE for row in rows),
        "mean_recorded": statistics.fmean(recorded) if rows else None,
        "mean_computed": statistics.fmean(computed) if rows else None,
        "correlation": correlation(recorded, computed),
        "without_ground_truth": sum(row.unknown for row in rows),
        "solved_from": solved_from,
        "solved_both": solved[True, True],
        "solved_recorded_only": solved[True, False],
        "solved_computed_only": solved[False, True],
        "solved_neither": solved[False, False],
        "tasks_with_several_rollouts": len(several),
        "tasks_without_signal": sum(max(rewards) - min(rewards) <= AGREE for rewards in several),
    }


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's; None where one side is always the same."""
    try:
        return statistics.correlation(one, other)
    except statistics.StatisticsError:
        return None


def in_words(found: dict[str, Any]) -> str:
    """The same for a terminal."""
    count, several = found["compared"], found["tasks_with_several_rollouts"]
    text = [f"{sum(found['unusable'].values()):>10,}  lines without a rollout to score"]
    text += [f"{number_:>14,}  {why}" for why, number_ in found["unusable"].items()]
    text.append(f"{found['failed']:>10,}  on which score fails")
    text += [f"{'':>12}{line}" for each in found["failures"] for line in each.splitlines()]
    text.append(f"{count:>10,}  compared")
    if count:
        related = found["correlation"]
        text += [
            f"{percent(found['agree'], count):>10}  agree with the recorded reward",
            f"{number(found['mean_recorded']):>10}  mean recorded",
            f"{number(found['mean_computed']):>10}  mean computed",
            f"{'none' if related is None else number(related):>10}  correlation",
            f"{found['without_ground_truth']:>10,}  without a ground truth",
            _signal(found["tasks_without_signal"], several),
            "",
            f"solved from {found['solved_from']:g}   computed solved   computed not",
            f"recorded solved {found['solved_both']:>15,} {found['solved_recorded_only']:>14,}",
            f"recorded not    {found['solved_computed_only']:>15,} {found['solved_neither']:>14,}",
        ]
    text += list(_agents(found["agents"]))
    for each in found["worst"]:
        text += ["", f"recorded {each['recorded']:g}, computed {each['computed']:g}"]
        text += [f"  {key:<13} {_beginning(each[key])}" for key in SHOWN]
    return "\n".join(text)


def _signal(without: int, several: int) -> str:
    """How many tasks teach an online trainer nothing."""
    if not several:
        return f"{'none':>10}  of the tasks has several rollouts, whose rewards could differ"
    share = percent(without, several)
    return (
        f"{share:>10}  of {several:,} tasks with several rollouts give all of them the same: "
        "nothing to learn from"
    )


SHOWN = ("task", "prompt", "response", "ground_truth")


def _agents(agents: dict[str, dict[str, Any]]) -> Iterator[str]:
    if agents:
        yield f"\n{'compared':>10} {'agree':>7} {'recorded':>9} {'computed':>9}  agent"
    for name, found in agents.items():
        agree = percent(found["agree"], found["compared"])
        means = f"{number(found['mean_recorded']):>9} {number(found['mean_computed']):>9}"
        yield f"{found['compared']:>10,} {agree:>7} {means}  {name}"


def _beginning(value: Any) -> str:
    """One line of a text: its beginning, and its end, where answers stand."""
    words = " ".join((value if isinstance(value, str) else json.dumps(value)).split())
    half = LETTERS // 2
    words = words if len(words) <= LETTERS else f"{words[:half]} [...] {words[-half:]}"
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def stop_when_useless(found: dict[str, Any], rewards: str) -> None:
    """End with exit code 1 where training on these rewards would fail or teach nothing."""
    place = f"{Path(rewards.partition(':')[0]).with_suffix('.py')}"
    if found["failed"]:
        raise UserError(
            f"The reward fails on {found['failed']} rollouts.", f"Mend {place}.", exit_code=1
        )
    if found["all_the_same"]:
        raise UserError(
            f"All {found['compared']} rollouts get the reward {found['mean_computed']:g}: nothing "
            "can be learned from it.",
            f"Choose another reward in {place}, or give rollouts with a ground truth that it reads "
            "and of more than one quality.",
            exit_code=1,
        )


if __name__ == "__main__":
    run(main)
