"""Whole numbers that would do, for plans and for the remedies of checks."""

from collections.abc import Iterable


def divisors(value: int, limit: int) -> Iterable[int]:
    """Those of a value that are not above a limit."""
    return (each for each in range(1, limit + 1) if value % each == 0)


def nearest(value: int, step: int) -> str:
    """The multiples of a step beside a value, in words."""
    below, above = value // step * step, -(-value // step) * step
    return " or ".join(str(each) for each in sorted({below, above}) if each)


def round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
