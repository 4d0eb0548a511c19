"""Numbers that would do, for plans and for the remedies of checks, as people write them."""

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


def power_of_two(limit: int) -> int:
    """The largest that is not above the limit; 1 for a limit of 0."""
    return 1 << max(0, limit.bit_length() - 1)


def plain(value: float) -> str:
    """`1e-7`, where Python writes 1e-07."""
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e")


def gib(value: float) -> str:
    """Memory in words: to a tenth where that is much of it."""
    return f"{value:.1f} GiB" if value < 10 else f"{value:,.0f} GiB"
