"""How numbers spread: rewards, turns, lengths."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Literal

from .summary import Bar, Figures

Scale = Literal["even", "log"]

SMALLEST, LARGEST = 1e-6, 1e12
"""Sizes between which numbers are told apart; beyond, they count as zero or as the largest."""
FEW_VALUES = 12
"""Up to so many different numbers get a bar each."""
MOST_BARS = 20
FAR_OUT = 3.0
"""Numbers further than this many times the middle half's width from it: Tukey's outer fences."""
UNIT_BITS = 1074
"""Every finite float is a whole number of units of 2 to the minus 1074."""


class Spread:
    """Numbers, counted by their value rounded to some significant digits.

    Count, lowest, highest and mean are exact. Quantiles and bars are those of the rounded numbers;
    with three digits, usual rewards and whole numbers below 1000 are not changed by rounding. At
    most 32,401 different numbers are held with three digits, 3,241 with two.
    """

    def __init__(self, scale: Scale = "even", digits: int = 3) -> None:
        self.count = 0
        self._scale: Scale = scale
        self._format = f".{digits}g"
        self._low = math.inf
        self._high = -math.inf
        self._units = 0
        self._rounded: dict[float, int] = {}

    def add(self, number: float, times: int = 1) -> None:
        """Count a finite number."""
        number += 0.0  # -0.0 is 0.0
        key = self._round(number)
        self._rounded[key] = self._rounded.get(key, 0) + times
        self._low = min(self._low, number)
        self._high = max(self._high, number)
        numerator, denominator = number.as_integer_ratio()
        self._units += (times * numerator) << (UNIT_BITS + 1 - denominator.bit_length())
        self.count += times

    def merge(self, other: "Spread") -> None:
        for key, count in other._rounded.items():
            self._rounded[key] = self._rounded.get(key, 0) + count
        self._low = min(self._low, other._low)
        self._high = max(self._high, other._high)
        self._units += other._units
        self.count += other.count

    def figures(self) -> Figures | None:
        """What a person wants to know; None when there are no numbers."""
        if not self.count:
            return None
        p05, p25, median, p75, p95 = map(self._quantile, (0.05, 0.25, 0.5, 0.75, 0.95))
        return Figures(
            count=self.count,
            mean=float(Fraction(self._units, self.count << UNIT_BITS)),
            low=self._low,
            high=self._high,
            p05=p05,
            p25=p25,
            median=median,
            p75=p75,
            p95=p95,
            bars=self._bars(),
        )

    def _round(self, number: float) -> float:
        size = abs(number)
        if size < SMALLEST:
            return 0.0
        if size > LARGEST:
            return math.copysign(LARGEST, number)
        return float(format(number, self._format))

    def _quantile(self, share: float) -> float:
        """The smallest number that at least this share of all does not exceed."""
        wanted, seen = share * self.count, 0
        for key in sorted(self._rounded):
            seen += self._rounded[key]
            if seen >= wanted:
                return min(max(key, self._low), self._high)
        return self._high

    def _bars(self) -> list[Bar]:
        if len(self._rounded) <= FEW_VALUES and self._scale == "even":
            return [Bar(key, key, self._rounded[key]) for key in sorted(self._rounded)]
        return self._log_bars() if self._scale == "log" else self._even_bars()

    def _even_bars(self) -> list[Bar]:
        """Bars of one round width, of which the outermost reach to outliers."""
        low, high = self._fences()
        whole = all(key == int(key) for key in self._rounded)
        step = max(_round_step((high - low) / MOST_BARS), float(whole))
        first = math.floor(round(low / step, 6))
        last = max(first, math.ceil(round(high / step, 6)) - 1)
        edges = [float(format(index * step, ".12g")) for index in range(first, last + 2)]

        def place(number: float) -> int:
            return min(max(math.floor(round(number / step, 6)), first), last) - first

        bars = self._filled(edges, place)
        for bar in bars if whole and step == 1 else ():
            bar.high = bar.low
        bars[0].low = min(bars[0].low, self._low)
        bars[-1].high = max(bars[-1].high, self._high)
        return bars

    def _fences(self) -> tuple[float, float]:
        """Lowest and highest of the numbers that are not far out."""
        p25, p75 = self._quantile(0.25), self._quantile(0.75)
        reach = FAR_OUT * (p75 - p25) or math.inf
        inside = [key for key in self._rounded if p25 - reach <= key <= p75 + reach]
        return min(inside), max(inside)

    def _log_bars(self) -> list[Bar]:
        """Bars that end at 1, 2, 5, 10, 20, 50 ...; the first begins at zero."""
        edges = [0.0, 1.0]
        while edges[-1] <= max(self._rounded):
            mantissa = int(format(edges[-1], "e")[0])
            edges.append(edges[-1] * {1: 2, 2: 2.5, 5: 2}[mantissa])

        def place(number: float) -> int:
            return next(i for i, edge in enumerate(edges[1:]) if number < edge)

        bars = self._filled(edges, place)
        used = [index for index, bar in enumerate(bars) if bar.count]
        return bars[used[0] : used[-1] + 1]

    def _filled(self, edges: list[float], place: Callable[[float], int]) -> list[Bar]:
        counts = [0] * (len(edges) - 1)
        for key, count in self._rounded.items():
            counts[place(key)] += count
        return [Bar(*bar) for bar in zip(edges[:-1], edges[1:], counts, strict=True)]


def spread_of(numbers: Iterable[float], scale: Scale = "even") -> Spread:
    spread = Spread(scale)
    for number in numbers:
        spread.add(number)
    return spread


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10 ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= least)
