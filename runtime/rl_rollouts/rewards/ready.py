"""Rewards to choose from in `rewards.py`. Options stand behind the four arguments of `score`.

    return ready.number_match(prompt, response, ground_truth, metadata, tolerance=0.01)

Where the ground truth is a list, the response has to match one of its values (not in `json_match`).
A row without a ground truth earns 0.0 from all but `nemo_gym` and a `pattern_match` of your own.
"""

import json
import math
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ..errors import UserError
from .gym import nemo_gym

__all__ = [
    "exact_match",
    "json_match",
    "math_match",
    "nemo_gym",
    "number_match",
    "number_or_text",
    "pattern_match",
]

Chat = list[dict[str, Any]]
Facts = dict[str, Any]
NUMBER = re.compile(
    r"(?:(?<![\w)])-)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![\w.]))?"
)
FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
MATH_VERIFY = "math-verify[antlr4_13_2]==0.9.0"
"""The same as in the extra `math` of pyproject.toml."""
MOST_STARTS = 500
"""Places in a text where JSON is looked for."""


def number_or_text(prompt: Chat, response: str, ground_truth: Any, metadata: Facts) -> float:
    """As `number_match` where the ground truth holds a number, else as `exact_match`."""
    if any(last_number(expected) is not None for expected in _alternatives(ground_truth)):
        return number_match(prompt, response, ground_truth, metadata)
    return exact_match(prompt, response, ground_truth, metadata)


def exact_match(
    prompt: Chat, response: str, ground_truth: Any, metadata: Facts, *, case: bool = False
) -> float:
    """Whether the whole text is the ground truth; white space around it never matters.

    Args:
        case: whether upper and lower case differ.
    """
    alternatives = _alternatives(ground_truth)
    return float(any(_plain(response, case) == _plain(each, case) for each in alternatives))


def number_match(
    prompt: Chat,
    response: str,
    ground_truth: Any,
    metadata: Facts,
    *,
    tolerance: float = 0.0,
    relative: float = 0.0,
) -> float:
    """Whether the last number is the last of the ground truth: 1,200 is 1200.0.

    Args:
        tolerance: by how much it may differ.
        relative: by what share of the larger of the two it may differ.
    """
    found = last_number(response)
    expected = (last_number(each) for each in _alternatives(ground_truth))
    return float(
        found is not None
        and any(_close(found, each, tolerance, relative) for each in expected if each is not None)
    )


def pattern_match(
    prompt: Chat,
    response: str,
    ground_truth: Any,
    metadata: Facts,
    *,
    pattern: str | None = None,
    case: bool = False,
) -> float:
    r"""A regular expression of Python's `re`.

    Args:
        pattern: with a group, as in r"answer is (\w+)": what the group holds at the last match has
            to be the ground truth. Without a group: it has to be found. None: the ground truth is
            the pattern.
        case: whether upper and lower case differ.
    """
    patterns = _alternatives(ground_truth) if pattern is None else [pattern]
    matches = [match for each in patterns for match in _compiled(each, case).finditer(response)]
    if pattern is None or not _compiled(pattern, case).groups:
        return float(bool(matches))
    last = next((part for part in matches[-1].groups() if part is not None), "") if matches else ""
    return exact_match(prompt, last, ground_truth, metadata, case=case) if matches else 0.0


def json_match(prompt: Chat, response: str, ground_truth: Any, metadata: Facts) -> float:
    """Whether the JSON in the text has the content of the ground truth.

    Keys may stand in any order and 1 is 1.0, but true is not 1, and lists have an order. A ground
    truth that is text may be JSON itself. Of a text around JSON, the last fenced block that is
    JSON counts, or else the last object or list.
    """
    if ground_truth is None:
        return 0.0
    expected = [ground_truth]
    if isinstance(ground_truth, str):
        expected += _parsed(ground_truth)
    return float(any(same_json(found, each) for found in json_in(response) for each in expected))


def math_match(prompt: Chat, response: str, ground_truth: Any, metadata: Facts) -> float:
    r"""Whether the answer is mathematically the ground truth: 1/2, 0.5 and \boxed{\frac{1}{2}}.

    Raises:
        UserError: where math-verify is not installed.
    """
    try:
        from math_verify import parse, verify
    except ImportError:
        raise UserError(
            "math_match needs math-verify, which is not installed.",
            f"pip install '{MATH_VERIFY}' (or `pip install -e '.[math]'`).",
            exit_code=1,
        ) from None
    # Its time limits are signals, which only the main thread can receive.
    seconds = 5 if threading.current_thread() is threading.main_thread() else None
    answer = parse(response, parsing_timeout=seconds)
    for expected in _alternatives(ground_truth):
        truth = parse(f"${expected}$", parsing_timeout=seconds)
        truth = truth or parse(expected, parsing_timeout=seconds)
        if verify(truth, answer, timeout_seconds=seconds):
            return 1.0
    return 0.0


def last_number(text: str) -> Decimal | None:
    """The last number in a text, exactly; None when there is none."""
    found = NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))
    return Decimal(found[-1].replace(",", "")) if found else None


def json_in(text: str) -> list[Any]:
    """The JSON value in a text, as a list of one; empty when there is none."""
    if whole := _parsed(text):
        return whole
    for block in reversed(FENCED.findall(text)):
        if found := _parsed(block):
            return found
    return list(_embedded(text))[-1:]


def same_json(one: Any, other: Any) -> bool:
    """Whether two decoded JSON values have the same content."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _alternatives(ground_truth: Any) -> list[str]:
    """The texts that would be right; none when the rollouts do not say."""
    if ground_truth is None:
        return []
    values = ground_truth if isinstance(ground_truth, list) else [ground_truth]
    return [each if isinstance(each, str) else json.dumps(each) for each in values]


def _plain(text: str, case: bool) -> str:
    return text.strip() if case else text.strip().casefold()


def _close(one: Decimal, other: Decimal, tolerance: float, relative: float) -> bool:
    if one == other or not (tolerance or relative):
        return one == other
    both = float(one), float(other)
    return all(map(math.isfinite, both)) and math.isclose(
        *both, abs_tol=tolerance, rel_tol=relative
    )


def _compiled(pattern: str, case: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, 0 if case else re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def _parsed(text: str) -> list[Any]:
    try:
        return [_decoder.decode(text.strip())]
    except (ValueError, RecursionError):
        return []


def _embedded(text: str) -> Iterator[Any]:
    """Objects and lists in a text that do not stand in others."""
    at = 0
    for _ in range(MOST_STARTS):
        start = re.compile(r"[{\[]").search(text, at)
        if start is None:
            return
        try:
            value, at = _decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
        else:
            yield value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)
