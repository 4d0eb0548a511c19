"""Numbers as people read them."""

from ..survey.findings import percent

__all__ = ["brief", "number", "of", "percent"]

STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float) -> str:
    """Whole numbers in full, others to three digits."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def brief(value: float) -> str:
    """A number for an axis: 20k, 1.5M."""
    for size, letter in STEPS:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def of(part: int, whole: int) -> str:
    """12 (3%)."""
    return f"{part:,} ({percent(part, whole)})" if whole else f"{part:,}"
