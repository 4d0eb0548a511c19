"""What of a survey a person should know before training."""

from typing import Literal

import msgspec

from ..values import MAX_BAD_SHARE
from .summary import Summary

Weight = Literal["good", "note", "warning"]
WORTH_A_NOTE = 0.01
"""Share of rollouts from which on a note says something about all of them."""

SHOWN = 12
"""Keys that are named."""


class Finding(msgspec.Struct):
    """One sentence, and whether it is a reason to look closer."""

    weight: Weight
    text: str


def findings(summary: Summary) -> list[Finding]:
    """Warnings first."""
    if not summary.rollouts:
        return [Finding("warning", "There is no rollout that can be used.")]
    found = [
        *_of_lines(summary),
        *_of_tasks(summary),
        *_of_truth(summary),
        *_of_rollouts(summary),
        *_of_keys(summary),
    ]
    order: list[Weight] = ["warning", "note", "good"]
    return sorted(found, key=lambda finding: order.index(finding.weight))


def percent(part: int, whole: int) -> str:
    """A share in words: 0% and 100% are said only where they are exact."""
    if not whole:
        return "none"
    share = 100 * part / whole
    if part and share < 0.1:
        return "<0.1%"
    if part < whole and share > 99.9:
        return ">99.9%"
    return f"{share:.1f}%".replace(".0%", "%") if share < 10 or share > 99 else f"{share:.0f}%"


def word_for(summary: Summary) -> str:
    """What the records are called: prompts, where nothing came back to any."""
    only = 0 < summary.rollouts == summary.marks.inputs
    return "prompts" if only else "rollouts"


def named(summary: Summary) -> str:
    """The records with their number."""
    return f"{summary.rollouts:,} {word_for(summary)}"


def _of_lines(summary: Summary) -> list[Finding]:
    """What is left out, and whether filtering would stop at it."""
    out, bad, read = sum(summary.rejected.values()), summary.damaged, summary.read
    if not out:
        return []
    limit = f"{100 * MAX_BAD_SHARE:g}% (--max_bad_share)"
    words = f"{out:,} of {read:,} lines ({percent(out, read)}) could not be used"
    if bad > MAX_BAD_SHARE * read:
        words += f", {bad:,} of them no rollouts: filter_rollouts.py stops at more than {limit}"
    elif bad:
        words += f", {bad:,} of them no rollouts; filter_rollouts.py would stop at {limit}"
    return [Finding("warning", f"{words}.")]


def _of_tasks(summary: Summary) -> list[Finding]:
    tasks = summary.tasks
    about = "" if tasks.share == 1 else "about "
    all_tasks = f"{about}{tasks.count:,} tasks"
    never, always = percent(tasks.never, tasks.count), percent(tasks.always, tasks.count)
    found = []
    if summary.rewards is not None:
        differing = f"{tasks.differing:,} of {all_tasks} have two or more different rewards"
        solved = f"{never} were never solved and {always} always"
        made = summary.uses.pairs - summary.uses.compared
        pairs = f", which give {made:,} pairs" if tasks.differing else ", and no pair comes of them"
        found = [
            Finding("good" if tasks.differing else "warning", f"{differing}{pairs}."),
            Finding(
                "note",
                f"Of the tasks, {solved} (solved: a reward of {summary.solved_from:g} or more).",
            ),
        ]
    if tasks.mixed:
        text = f"{tasks.mixed:,} task numbers stand for two or more prompts, as when runs were "
        found.append(Finding("warning", text + "numbered alike; each prompt counts as a task."))
    if tasks.shared_prompts:
        text = f"{tasks.shared_prompts:,} prompts stand in two or more tasks; each of them is "
        found.append(Finding("note", text + "trained on or held out in all."))
    if tasks.single and summary.rewards is not None:
        text = f"{tasks.single:,} of {all_tasks} were attempted only once."
        found.append(Finding("note", text))
    return found


def _of_truth(summary: Summary) -> list[Finding]:
    """Whether the reward that projects begin with has something to compare with."""
    known = summary.marks.ground_truth
    words = f"{known:,} of {named(summary)} say what is right"
    if known:
        return [] if known == summary.rollouts else [Finding("note", f"{words}.")]
    remedy = "name the key (--keys ground_truth=...), or write a reward that needs none"
    text = f"{words}: online, the reward of a new project would give all the same; {remedy}."
    return [Finding("warning", text)]


def _of_keys(summary: Summary) -> list[Finding]:
    """Keys that nothing reads, those that look decisive one by one."""
    rollouts = summary.rollouts
    found = [
        Finding(
            "warning",
            f"`{key.name}` is not read, and looks as if it said what should be learned: it is set "
            f"in {key.decisive:,} of {rollouts:,} records.",
        )
        for key in summary.unread
        if key.decisive
    ]
    others = [f"{key.name} ({key.records:,})" for key in summary.unread if not key.decisive]
    if others:
        more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
        text = f"Keys that are not read, and stay in the metadata: {', '.join(others[:SHOWN])}"
        found.append(Finding("note", f"{text}{more}."))
    return found


def _of_rollouts(summary: Summary) -> list[Finding]:
    rollouts, marks = summary.rollouts, summary.marks
    silent = marks.unjudged - marks.inputs
    told: list[tuple[int, Weight, str]] = [
        (silent, "warning", "Without a reward, which some algorithms need (--keys reward=...)"),
        (marks.inputs, "note", "Prompts to which nothing came back, for online algorithms alone"),
        (marks.pairs, "good", "Pairs of a chosen and a rejected answer"),
        (marks.failed, "warning", "Failed in the environment or the model's server"),
        (marks.unknown_calls, "warning", "Calls of a tool whose schema is not in the record"),
        (marks.masked, "note", "Masked, the environment says not to train on it"),
        (marks.truncated, "note", "Truncated at the token limit"),
        (marks.images, "note", "With images or other content that is not text"),
        (summary.copies.rollouts, "note", "Copies of another, with the same messages and tools"),
        (marks.turn_tokens, "good", "With token ids and log-probabilities"),
        (marks.turn_rewards, "good", "With a reward for each turn"),
    ]
    return [
        Finding(weight, f"{text}: {count:,} of {named(summary)} ({percent(count, rollouts)}).")
        for count, weight, text in told
        if count and (weight != "note" or count >= WORTH_A_NOTE * rollouts)
    ]
