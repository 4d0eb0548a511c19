"""What a record says it was worth."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import Damaged
from .record import Record, values_of


def reward_of(
    record: Record, line: bytes, key: str | None = None, otherwise: float | None = None
) -> float | None:
    """The reward of a record; None where it has none.

    Args:
        key: under which it stands, if not under `reward`.
        otherwise: the reward of records that have none.

    Raises:
        Damaged: for what is no finite number.
    """
    if key is not None:
        found = _number(_under(values_of(line), key))
        return otherwise if found is None else found
    given = record.reward
    if given is None or given.value is None:
        if isinstance(record.label, bool):
            return float(record.label)
        return otherwise
    return _number(given.value)


def _under(values: Mapping[str, msgspec.Raw], key: str) -> Any:
    """The value under a key, which is reached through dots unless it holds them itself."""
    head, _, rest = key.partition(".")
    found = values.get(key, values.get(head))
    value = None if found is None else msgspec.json.decode(found)
    for name in rest.split(".") if rest and key not in values else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _number(reward: Any) -> float | None:
    if reward is None:
        return None
    if type(reward) is not float and (isinstance(reward, bool) or not isinstance(reward, int)):
        raise Damaged(f"the reward is not a number: {reward!r}")
    try:
        number = float(reward)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Damaged(f"the reward is not finite: {number}")
    return number
