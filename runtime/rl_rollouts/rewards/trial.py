"""A reward tried on a sample of the rows that are to be trained on, before anything is generated.

Online training compares the rewards of responses to one prompt. Where every response earns the
same, as it does where the reward needs a ground truth and the rows have none, it trains on nothing
and says nothing.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from .checked import Score, reward_of
from .gym import EXPECTED_KEYS

SAMPLE = 16
"""Rows that are tried with a ground truth, and without: one that tells apart is enough."""
TRIED = ("", "0", "1", "Yes.", "The answer is 42.", '{"answer": 1}', "word " * 50)
FORMS = ("{}", "The answer is {}.", "\\boxed{{{}}}", "<answer>{}</answer>", "#### {}")
"""How a response may say the ground truth."""
NAMED = 5
"""Keys of the metadata that are named."""


def try_out(rows: Iterable[dict[str, Any]], score: Score) -> str:
    """What is wrong with the rewards of all rows, or some, in words; empty where nothing is.

    Args:
        rows: with `prompt`, `ground_truth` and `metadata`.

    Raises:
        UserError: when the reward fails, or is no number.
    """
    sample, counts, keys = _sampled(rows)
    lines = []
    for known, drawn in sample.items():
        worth = next(_rewards(drawn[0], score))
        if any(_tells_apart(row, score) for row in drawn):
            continue
        words = f"have {'a' if known else 'no'} ground truth, and every response that was tried"
        lines.append(
            f"warning: {counts[known]} of {counts.total()} rows {words} to them is worth "
            f"{worth:g}: from equal rewards nothing is learned."
        )
        lines.append(_remedy(known, keys))
    return "\n".join(lines)


def _remedy(known: bool, keys: Counter[str]) -> str:
    if known:
        return (
            "Also one that is the ground truth. See rewards.py; `make rewards` tries it on "
            "recorded rollouts."
        )
    elsewhere = ", ".join(key for key, _ in keys.most_common(NAMED))
    found = f" Their metadata has {elsewhere}." if elsewhere else ""
    return (
        f"It is read from {', '.join(EXPECTED_KEYS)} of a rollout.{found} Set it in `change` of "
        "prepare_for_*.py (rollout.ground_truth = rollout.metadata[...]), or let rewards.py read "
        "the metadata."
    )


def _sampled(
    rows: Iterable[dict[str, Any]],
) -> tuple[dict[bool, list[dict[str, Any]]], Counter[bool], Counter[str]]:
    """Some rows with a ground truth and some without, how many have one, and keys of the rest."""
    chance = random.Random(0)
    sample: dict[bool, list[dict[str, Any]]] = {}
    counts: Counter[bool] = Counter()
    keys: Counter[str] = Counter()
    for row in rows:
        known = row["ground_truth"] is not None
        counts[known] += 1
        drawn = sample.setdefault(known, [])
        if len(drawn) < SAMPLE:
            drawn.append(row)
        elif (place := chance.randrange(counts[known])) < SAMPLE:
            drawn[place] = row
        if not known:
            keys.update(list(row["metadata"] or ()))
    return sample, counts, keys


def _tells_apart(row: dict[str, Any], score: Score) -> bool:
    """Whether two responses to one prompt differ; asks no more than it has to."""
    rewards = _rewards(row, score)
    first = next(rewards)
    return any(each != first for each in rewards)


def _rewards(row: dict[str, Any], score: Score) -> Iterator[float]:
    """What responses to one prompt are worth; the ground truth comes early."""
    facts = (row["ground_truth"], row["metadata"] or {})
    for response in dict.fromkeys((TRIED[0], *_answers(row["ground_truth"]), *TRIED[1:])):
        yield reward_of(row["prompt"], response, *facts, score)


def _answers(truth: Any) -> list[str]:
    """Responses that say the ground truth; of a list its first value."""
    if truth is None:
        return []
    values = [truth, truth[0]] if isinstance(truth, list) and truth else [truth]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    return [form.format(text) for text in texts for form in FORMS]
