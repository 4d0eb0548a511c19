"""What rollouts hold and what they can train, before there is a project.

They are read by the library that projects use, so what is said here is what a project will do.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scaffolder import frameworks, library, machine
from scaffolder.errors import UnreadableRollouts, UserError
from scaffolder.vocabulary import ALGORITHMS, Algorithm, DatasetKind

GLANCE = 32 * 2**20
"""Bytes that a glance reads, in equal parts of all files."""
DPO_SHARE = 0.2
"""Pairs a task from which on preferences are worth recommending."""


@dataclass(frozen=True)
class Use:
    """What an algorithm would find in the rollouts."""

    algorithm: str
    feasible: bool
    reason: str
    frameworks: tuple[str, ...]
    """That can be rendered with it; none when no framework here offers it."""


@dataclass(frozen=True)
class Inspection:
    """What was found."""

    path: str
    summary: Mapping[str, Any]
    """See `rl_rollouts/survey/summary.py`."""
    findings: tuple[tuple[str, str], ...]
    """Weight (good, note, warning) and sentence."""
    uses: tuple[Use, ...]
    recommended: str | None
    """The algorithm that fits best, of those that can be rendered."""

    @property
    def command(self) -> str | None:
        """The command that makes a project of it."""
        if self.recommended is None:
            return None
        offered = next(use.frameworks for use in self.uses if use.algorithm == self.recommended)
        choices = f"--framework {frameworks.usual(offered)} --algorithm {self.recommended}"
        return f"rl-scaffolder new {choices} --rollouts {shlex.quote(self.path)}"

    def as_json(self) -> dict[str, Any]:
        """For scripts; without the samples, which are for reading."""
        summary = {name: value for name, value in self.summary.items() if name != "samples"}
        return {
            "path": self.path,
            "summary": summary,
            "findings": [{"weight": weight, "text": text} for weight, text in self.findings],
            "algorithms": [asdict(use) for use in self.uses],
            "recommended": self.recommended,
            "command": self.command,
        }


def inspect(path: str, *, glance: bool = False) -> Inspection:
    """Read rollouts, or the beginning of each file for a glance.

    Raises:
        UnreadableRollouts: with the reason.
    """
    look, survey, errors = (library.load(name) for name in ("survey.look", "survey", "errors"))
    try:
        found = look.survey_rollouts([path], limit=GLANCE if glance else None)
    except errors.UserError as error:
        raise UnreadableRollouts(error.problem, error.remedy) from None
    import msgspec

    summary = found.summary()
    plain = msgspec.to_builtins(summary)
    uses = tuple(_uses(plain))
    sentences = tuple((each.weight, each.text) for each in survey.findings(summary))
    return Inspection(path, plain, sentences, uses, _recommended(plain, uses))


def look(path: str) -> Inspection | UserError:
    """What is in rollouts at a glance, or why there is nothing to be seen."""
    there = machine.found(path)
    if there is None:
        remedy = "They need not be yet; until then `make train` has nothing to read."
        return UnreadableRollouts(f"There is nothing at {path}.", remedy)
    try:
        found = inspect(str(there), glance=True)
    except UserError as error:
        return error
    if found.summary["rollouts"]:
        return found
    rejected = found.summary["rejected"]
    why = f": {max(rejected, key=rejected.get)}" if rejected else ", it is empty"
    remedy = "`rl-scaffolder inspect` says more."
    return UnreadableRollouts(f"No line of {path} is a rollout{why}.", remedy)


def fitting(path: str, *, typed: bool = False) -> str | None:
    """The algorithm that fits rollouts, at a glance; None when they are not there or hold none.

    Args:
        typed: whether the user has just named them, so that they have to be there.

    Raises:
        UnreadableRollouts: when those are not, or cannot be read.
    """
    where = machine.found(path)
    if not (where or typed):
        return None
    try:
        return inspect(str(where or path), glance=True).recommended
    except UserError:
        if typed:
            raise
        return None


HELD_OUT = 0.1
"""Of the tasks, when rows are prepared."""


def rows(found: Inspection, kind: DatasetKind) -> int | None:
    """About how many rows they give to train on; None where not all of them were looked at."""
    summary, read = found.summary, library.load("data.read")
    if summary["tasks"]["share"] < 1 or read.size_of(read.find([found.path])) > GLANCE:
        return None
    uses = summary["uses"]
    judged = summary["solved"] if uses["judged"] else uses["answers"]
    of_kind: dict[str, int] = {
        "sft": judged,
        "preference": uses["pairs"],
        "unpaired": uses["good"] + uses["bad"],
        "prompts": summary["tasks"]["count"],
        "trajectories": uses["answers"],
    }
    return math.ceil(of_kind[kind] * (1 - HELD_OUT))


def _uses(summary: Mapping[str, Any]) -> Sequence[Use]:
    offered = frameworks.discover()
    return [
        Use(
            algorithm,
            *_judged(algorithm, summary),
            tuple(name for name, each in offered.items() if algorithm in each.algorithms),
        )
        for algorithm in ALGORITHMS
    ]


def _judged(algorithm: Algorithm, summary: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether an algorithm can use the rollouts, and why."""
    tasks, rollouts, solved = summary["tasks"], summary["rollouts"], summary["solved"]
    about = "" if tasks["share"] == 1 else "about "
    kind = library.dataset_kind(algorithm)
    uses = summary["uses"]
    if kind == "preference":
        words = f"{uses['pairs']:,} pairs of {about}{tasks['count']:,} tasks"
        return uses["pairs"] > 0, words
    if kind == "unpaired":
        good, bad = uses["good"], uses["bad"]
        return good > 0 and bad > 0, f"{good:,} good and {bad:,} bad answers"
    if kind == "prompts":
        truth = summary["marks"]["ground_truth"]
        words = f"{about}{tasks['count']:,} tasks, {tasks['sometimes']:,} of them sometimes solved"
        return tasks["count"] > 0, f"{words}; {truth:,} of {rollouts:,} rollouts say what is right"
    if not uses["judged"]:
        return uses["answers"] > 0, f"{uses['answers']:,} answers, without rewards"
    return solved > 0, f"{solved:,} of {rollouts:,} rollouts solved their task"


def _recommended(summary: Mapping[str, Any], uses: Sequence[Use]) -> str | None:
    """Preferences where enough tasks have them, else what imitates the solved ones."""
    possible = [use.algorithm for use in uses if use.feasible and use.frameworks]
    tasks = summary["tasks"]
    if "dpo" in possible and summary["uses"]["pairs"] >= DPO_SHARE * tasks["count"]:
        return "dpo"
    return "sft" if "sft" in possible else next(iter(possible), None)
