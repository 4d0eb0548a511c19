"""Curves of a run as SVG: each value that was logged, faintly, and the mean of those around it."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, line, rect, short, text
from .markup import Child, Html, element, joined
from .numbers import brief, number

SPREAD = "standard deviation around it"
Point = tuple[float, float]
"""Step and value."""
FEW = 20
"""Fewer values than this are shown as they are."""
SMOOTHED_OVER = 15
"""A mean is of this part of all values."""
SAME = 1e-9
"""Values that differ by less than this part of them are one."""
LETTER_WIDTH, GAP = 7.3, 10
"""Of a label, also in the larger letters of a small screen, and what stays free beside it."""
MOST = 400
"""Places along the axis; of more values, the lowest and the highest at each place are drawn."""


class Curve(NamedTuple):
    """One line of a chart."""

    name: str
    points: Sequence[Point]
    spread: Sequence[float] = ()
    """How far the single values lie around each point, where it is a mean."""


def chart(title: str, curves: Sequence[Curve], *, from_zero: bool = False, unit: str = "") -> Html:
    """Curves over the same steps; the second has another colour.

    Args:
        unit: of the values, above their axis; with a % they are shares, shown in hundredths.
    """
    scale = _scale(curves, from_zero, unit)
    bands = [_band(each, scale) for each in curves if each.spread]
    lines = [_lines(each, scale, "second" if at else "") for at, each in enumerate(curves)]
    words = "; ".join(map(_in_words, curves))
    return element(
        "svg",
        element("title", title),
        element("desc", words),
        _grid(scale),
        bands,
        lines,
        _tips(curves, scale),
        class_="chart curve",
        role="img",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )


def legend(curves: Sequence[Curve]) -> Html:
    """What each line is, and where it ends."""
    items = (
        element(
            "li",
            element("span", class_=f"key {'second' if at else ''}".strip(), aria_hidden="true"),
            f"{each.name} ",
            element("b", value(smooth(each.points)[-1][1])),
        )
        for at, each in enumerate(curves)
    )
    band = element("li", element("span", class_="key band", aria_hidden="true"), SPREAD)
    spread = band if any(each.spread for each in curves) else None
    return element("ul", items, spread, class_="legend")


def smooth(points: Sequence[Point]) -> list[Point]:
    """The mean of the values around each; of fewer at the ends, which no step is left out of."""
    if len(points) < FEW:
        return list(points)
    reach = max(1, len(points) // SMOOTHED_OVER // 2)
    sums = [0.0]
    for _, each in points:
        sums.append(sums[-1] + each)
    found = []
    for at, (step, _) in enumerate(points):
        near = max((reach + 1) // 2, min(reach, at, len(points) - 1 - at))
        low, high = max(0, at - near), min(len(points), at + near + 1)
        found.append((step, (sums[high] - sums[low]) / (high - low)))
    return found


def value(amount: float) -> str:
    """A number of any size to three digits."""
    return f"{amount:.2e}" if 0 < abs(amount) < 1e-3 else number(amount)


class _Scale(NamedTuple):
    first: float
    last: float
    ticks: list[float]
    unit: str

    @property
    def left(self) -> float:
        """Where the axis of the steps begins: beside the longest label of the other."""
        return max(LEFT, GAP + LETTER_WIDTH * max(len(self.named(tick)) for tick in self.ticks))

    def named(self, tick: float) -> str:
        """A label of the values' axis."""
        return f"{100 * tick:.3g}%" if "%" in self.unit else _brief(tick)

    def x(self, step: float) -> float:
        width = WIDTH - self.left - RIGHT
        if self.last == self.first:
            return self.left + width / 2
        return self.left + width * (step - self.first) / (self.last - self.first)

    def y(self, amount: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (amount - low) / (high - low)


def _scale(curves: Sequence[Curve], from_zero: bool, unit: str) -> _Scale:
    steps = [step for each in curves for step, _ in each.points]
    values = [amount for each in curves for _, amount in each.points]
    for each in curves:
        values += [amount for side in _edges(each) for _, amount in side]
    low, high = min(values), max(values)
    constant = high - low <= SAME * max(abs(low), abs(high))
    if from_zero or constant:  # what never changes is drawn as high as it is
        low, high = min(low, 0.0), max(high, 0.0)
    return _Scale(min(steps), max(steps), _ticks(low, high), unit)


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers that hold everything; of nothing but zeros, from 0 to 1."""
    if high == low:
        high = low + 1
    size = 10.0 ** math.floor(math.log10(high - low))
    step = next(size * part for part in (0.2, 0.5, 1, 2, 5) if (high - low) / (size * part) <= 6)
    start, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [at * step for at in range(start, end + 1)]


def _grid(scale: _Scale) -> Html:
    lines: list[Html] = []
    for at, tick in enumerate(scale.ticks):
        y = scale.y(tick)
        lines.append(line(scale.left, WIDTH - RIGHT, y, y, "axis" if at == 0 else "grid"))
        lines.append(text(scale.named(tick), scale.left - 6, y + 4, "tick end"))
    lines.append(text(scale.unit, 2, TOP - 5, "tick start"))
    *steps, last = _steps(scale)
    y = HEIGHT - BOTTOM + 16
    shown = [text(brief(step), scale.x(step), y, "tick") for step in steps]
    return joined(*lines, *shown, text(f"step {brief(last)}", WIDTH - 2, y, "tick end"))


def _steps(scale: _Scale) -> list[float]:
    """Round steps, and the last one."""
    if scale.first == scale.last:
        return [scale.last]
    free = scale.last - (scale.last - scale.first) / 5
    ticks = _ticks(scale.first, scale.last)
    return [*(at for at in ticks if scale.first <= at < free and at == int(at)), scale.last]


def _brief(tick: float) -> str:
    if tick and abs(tick) < 1e-3:
        return f"{tick:.0e}".replace("e-0", "e-")
    return brief(round(tick, 10))


def _lines(curve: Curve, scale: _Scale, class_: str) -> Html:
    """All values, and their mean where there are enough; a dot where there is one value."""
    smoothed = smooth(curve.points)
    few = len(curve.points) < FEW
    drawn = [_polyline(_thinned(curve.points), scale, f"{'mean' if few else 'raw'} {class_}")]
    if not few:
        drawn.append(_polyline(_thinned(smoothed), scale, f"mean {class_}"))
    if len(curve.points) == 1:
        step, amount = curve.points[0]
        x, y = short(scale.x(step)), short(scale.y(amount))
        drawn.append(element("circle", class_=f"dot {class_}".strip(), cx=x, cy=y, r="3"))
    return joined(*drawn)


def _polyline(points: Sequence[Point], scale: _Scale, class_: str) -> Html:
    return element("polyline", class_=class_.strip(), points=_places(points, scale))


def _band(curve: Curve, scale: _Scale) -> Html:
    """The spread around the mean."""
    above, below = _edges(curve)
    return element("polygon", class_="band", points=_places([*above, *below[::-1]], scale))


def _edges(curve: Curve) -> tuple[list[Point], list[Point]]:
    """What lies one spread above and below the mean; nothing without a spread."""
    pairs = zip(curve.points, curve.spread, strict=False)
    spread = _evenly(smooth([(step, width) for (step, _), width in pairs]))
    middle = _evenly(smooth(curve.points))
    both = [
        (step, amount, width) for (step, amount), (_, width) in zip(middle, spread, strict=False)
    ]
    return (
        [(step, amount + width) for step, amount, width in both],
        [(step, amount - width) for step, amount, width in both],
    )


def _places(points: Sequence[Point], scale: _Scale) -> str:
    return " ".join(f"{short(scale.x(step))},{short(scale.y(amount))}" for step, amount in points)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """No more than can be seen: of each place along the axis its lowest and its highest value."""
    if len(points) <= 2 * MOST:
        return list(points)
    found: list[Point] = []
    for part in _parts(points):
        ends = {
            min(part, key=lambda point: point[1]): None,
            max(part, key=lambda point: point[1]): None,
        }
        found += sorted(ends)
    return found


def _evenly(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST:
        return list(points)
    return [part[len(part) // 2] for part in _parts(points)]


def _parts(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    for at in range(MOST):
        start, end = len(points) * at // MOST, len(points) * (at + 1) // MOST
        if end > start:
            yield points[start:end]


def _tips(curves: Sequence[Curve], scale: _Scale) -> Html:
    """The numbers under the pointer."""
    steps = _evenly(
        [(step, 0.0) for step in sorted({s for each in curves for s, _ in each.points})]
    )
    known = [dict(each.points) for each in curves]
    width = (WIDTH - scale.left - RIGHT) / max(len(steps), 1)
    tips: list[Child] = []
    for step, _ in steps:
        said = [
            f"{each.name} {value(values[step])}"
            for each, values in zip(curves, known, strict=True)
            if step in values
        ]
        area = rect(scale.x(step) - width / 2, TOP, width, HEIGHT - TOP - BOTTOM, "tip")
        tips.append(element("g", element("title", f"step {step:,.0f}: {', '.join(said)}"), area))
    return joined(*tips)


def _in_words(curve: Curve) -> str:
    (first, start), (last, end) = curve.points[0], curve.points[-1]
    values = [amount for _, amount in curve.points]
    return (
        f"{curve.name} by step: {value(start)} at step {first:,.0f}, {value(end)} at step "
        f"{last:,.0f}, lowest {value(min(values))}, highest {value(max(values))}"
    )
