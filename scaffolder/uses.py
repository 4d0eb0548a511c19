"""Which algorithms rollouts can feed, and how well; from what the library counted of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scaffolder import frameworks, library
from scaffolder.vocabulary import ALGORITHMS, Algorithm

Weight = Literal["good", "note", "warning"]
DPO_SHARE = 0.2
"""Pairs a task from which on preferences are worth recommending."""


@dataclass(frozen=True)
class Use:
    """What an algorithm would find in the rollouts."""

    algorithm: str
    feasible: bool
    """Whether rows can be made for it."""
    weight: Weight
    """good; a note where it has to be chosen what becomes of rows; a warning where nothing would be
    learned, or preparing would stop."""
    reason: str
    frameworks: tuple[str, ...]
    """That can be rendered with it; none when no framework here offers it."""


def uses(summary: Mapping[str, Any]) -> Sequence[Use]:
    offered = frameworks.discover()
    return [
        Use(
            algorithm,
            *_judged(algorithm, summary),
            tuple(name for name, each in offered.items() if algorithm in each.algorithms),
        )
        for algorithm in ALGORITHMS
    ]


def _judged(algorithm: Algorithm, summary: Mapping[str, Any]) -> tuple[bool, Weight, str]:
    """Whether rows can be made for an algorithm, whether something would be learned, and why."""
    uses, kind = summary["uses"], library.dataset_kind(algorithm)
    if kind == "prompts":
        return _asked(summary)
    feasible, words = _fed(kind, summary)
    lacking = _lacking(kind, summary)
    whole = summary["read"] if kind == "sft" else uses["kept"]
    if feasible and lacking > library.max_bad_share() * whole:
        what = "no reward" if kind == "sft" else "no reward or no response"
        return True, "warning", f"{words}; {lacking:,} rollouts have {what}, where preparing stops"
    return feasible, "good" if feasible else "warning", words


def _fed(kind: str, summary: Mapping[str, Any]) -> tuple[bool, str]:
    """Rows that could be made of what the model did."""
    uses, tasks = summary["uses"], summary["tasks"]
    about = "" if tasks["share"] == 1 else "about "
    if kind == "preference":
        return uses["pairs"] > 0, f"{uses['pairs']:,} pairs of {about}{tasks['count']:,} tasks"
    if kind == "unpaired":
        good, bad = uses["good"], uses["bad"]
        return good > 0 and bad > 0, f"{good:,} good and {bad:,} bad answers"
    if not uses["answers"]:
        return False, "no answers to imitate"
    if not uses["judged"]:
        words = f"{uses['answers']:,} answers, without rewards: `make train FILTER=` keeps all"
        return True, words
    least = f"{library.imitated_from():g}"
    return uses["best"] > 0, f"{uses['best']:,} answers with a reward of {least} or more"


def _lacking(kind: str, summary: Mapping[str, Any]) -> int:
    """Rollouts without what preparing asks for; it bears only a small share of them."""
    uses = summary["uses"]
    if kind == "sft":
        return int(summary["marks"]["unjudged"]) if uses["judged"] else 0
    return int(uses["kept"] - uses["judged"] - uses["compared"])


def _asked(summary: Mapping[str, Any]) -> tuple[bool, Weight, str]:
    """What online algorithms would ask, whatever came of it."""
    tasks = summary["tasks"]
    about = "" if tasks["share"] == 1 else "about "
    words = [f"{about}{tasks['asked']:,} prompts"]
    if summary["rewards"]:
        words.append(f"{tasks['sometimes']:,} of them sometimes solved")
    if tasks["tools"]:
        words.append(f"{tasks['tools']:,} with tools")
    words.append(f"{tasks['truths']:,} say what is right")
    weight: Weight = "warning" if not tasks["truths"] else "note" if tasks["tools"] else "good"
    return tasks["asked"] > 0, weight, ", ".join(words)


def recommended(summary: Mapping[str, Any], uses: Sequence[Use]) -> str | None:
    """Preferences where enough tasks have them, else what imitates the solved ones."""
    offered = [use for use in uses if use.feasible and use.frameworks]
    possible = [use.algorithm for use in offered if use.weight != "warning"]
    tasks = summary["tasks"]
    if "dpo" in possible and summary["uses"]["pairs"] >= DPO_SHARE * tasks["count"]:
        return "dpo"
    if "sft" in possible:
        return "sft"
    return next(iter([*possible, *(use.algorithm for use in offered)]), None)
