"""Charts as SVG. Colours come from the page's style, and every number is in the chart's text."""

from collections.abc import Sequence

from ..survey.summary import Bar
from .markup import Child, Html, element, joined
from .numbers import brief, number, percent

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 16, 26
"""Margins for the labels of the axes."""
LETTER = 6.2
"""Width of a letter of a label."""
COUNTED_BAR = 34
"""Bars of this width have their number above."""
WIDEST_BAR = 56

Label = tuple[float, str]
"""Where it stands, in bars from the left, and what it says."""


def histogram(
    title: str,
    bars: Sequence[Bar],
    unit: str,
    *,
    limit: float | None = None,
    classes: Sequence[str] = (),
    labels: Sequence[Label] = (),
) -> Html:
    """Bars side by side.

    Args:
        unit: what is counted, as in "rollouts".
        limit: a line at this value; what lies above it has another colour.
        classes: one for each bar, which gives it another colour.
        labels: below the axis, in place of the bars' own numbers.
    """
    top = _round_up(max((bar.count for bar in bars), default=0))
    slot = (WIDTH - LEFT - RIGHT) / max(len(bars), 1)
    above = float("inf") if limit is None else limit
    classes = classes or ["over" if bar.low >= above else "" for bar in bars]
    drawn = [
        _bar(bar, index, slot, top, unit, classes[index])
        for index, bar in enumerate(bars)
        if bar.count
    ]
    shown = _labels(labels or _own_labels(bars), slot)
    parts = (_grid(top), drawn, shown, _limit_line(bars, slot, limit))
    return _svg(title, _in_words(bars, unit), *parts)


def share_bar(title: str, parts: Sequence[tuple[str, int, str]]) -> Html:
    """One bar in parts, each with a name, a count and a class, and a legend below."""
    whole = sum(count for _, count, _ in parts)
    shown = [part for part in parts if part[1]]
    drawn, x = [], 0.0
    for name, count, class_ in shown:
        width = 100 * count / whole
        label = element("title", f"{name}: {count:,} ({percent(count, whole)})")
        drawn.append(element("g", label, rect(x, 0, width, 10, f"part {class_}")))
        x += width
    words = "; ".join(f"{name} {count:,} ({percent(count, whole)})" for name, count, _ in shown)
    bar = element(
        "svg",
        element("title", f"{title}: {words}"),
        drawn,
        class_="share",
        role="img",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
    )
    return joined(bar, _legend(shown, whole))


def meter(part: int, whole: int, class_: str = "") -> Html:
    """A small bar beside a number that says the same."""
    width = 100 * part / whole if whole else 0
    return element(
        "svg",
        rect(0, 0, width, 10, f"part {class_}".strip()),
        class_="meter",
        aria_hidden="true",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
    )


def sparkline(title: str, bars: Sequence[Bar], low: float, high: float) -> Html:
    """A histogram the height of a line of text, on an axis that several of them share.

    What lies outside from `low` to `high` stands at its end.
    """
    top = max((bar.count for bar in bars), default=1)
    width = 5
    drawn = []
    for bar in (bar for bar in bars if bar.count):
        middle = (bar.low + bar.high) / 2
        place = (middle - low) / (high - low) if high > low else 0.5
        x = min(max(place, 0.0), 1.0) * (100 - width)
        height = max(1.0, 24 * bar.count / top)
        drawn.append(rect(x, 24 - height, width, height, "part"))
    return element(
        "svg",
        element("title", f"{title}: {_in_words(bars, 'rollouts')}"),
        line(0, 100, 24, 24, "axis"),
        drawn,
        class_="spark",
        role="img",
        viewBox="0 0 100 25",
    )


def bar_name(bar: Bar, last: bool) -> str:
    """The numbers that a bar holds."""
    if bar.low == bar.high:
        return number(bar.low)
    return f"{number(bar.low)} to {'' if last else 'below '}{number(bar.high)}"


def _svg(title: str, words: str, *parts: Child) -> Html:
    return element(
        "svg",
        element("title", title),
        element("desc", words),
        *parts,
        class_="chart",
        role="img",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )


def _bar(bar: Bar, index: int, slot: float, top: int, unit: str, class_: str) -> Html:
    height = max(1.5, (HEIGHT - TOP - BOTTOM) * bar.count / top)
    width = min(slot * 0.86 if slot > 8 else slot, WIDEST_BAR)
    x = LEFT + index * slot + (slot - width) / 2
    y = HEIGHT - BOTTOM - height
    tip = element("title", f"{bar_name(bar, last=False)}: {bar.count:,} {unit}")
    count = None
    if slot >= COUNTED_BAR:
        count = text(brief(bar.count), x + width / 2, y - 4, "count")
    return element("g", tip, rect(x, y, width, height, f"part {class_}".strip()), count)


def _grid(top: int) -> Html:
    lines = []
    for count in (0, top / 2, top):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / top
        lines.append(line(LEFT, WIDTH - RIGHT, y, y, "axis" if count == 0 else "grid"))
        if count == int(count):
            lines.append(text(brief(count), LEFT - 6, y + 4, "tick end"))
    return joined(*lines)


def _own_labels(bars: Sequence[Bar]) -> list[Label]:
    """Below each bar its number, or between the bars their edges."""
    if any(bar.low == bar.high for bar in bars):
        return [(index + 0.5, _brief_name(bar)) for index, bar in enumerate(bars)]
    return [*enumerate(brief(bar.low) for bar in bars), (len(bars), brief(bars[-1].high))]


def _brief_name(bar: Bar) -> str:
    return (
        brief(bar.low) if bar.low == bar.high else f"{brief(bar.low)}\N{EN DASH}{brief(bar.high)}"
    )


def _labels(labels: Sequence[Label], slot: float) -> Html:
    """As many as there is room for, from the left; the last one always."""
    shown: list[Html] = []
    free, wanted = 0.0, [(LEFT + place * slot, words) for place, words in labels]
    ends = min(x - LETTER * (len(words) / 2 + 1) for x, words in wanted[-1:])
    for index, (x, words) in enumerate(wanted):
        half = LETTER * len(words) / 2
        last = index == len(wanted) - 1
        if x - half >= free and (last or x + half <= ends):
            shown.append(text(words, min(x, WIDTH - half), HEIGHT - BOTTOM + 16, "tick"))
            free = x + half + LETTER
    return joined(shown)


def _limit_line(bars: Sequence[Bar], slot: float, limit: float | None) -> Html | None:
    for index, bar in enumerate(bars):
        if limit is not None and bar.low <= limit < bar.high:
            x = LEFT + slot * (index + (limit - bar.low) / (bar.high - bar.low))
            anchor = "end" if x > WIDTH / 2 else "start"
            shift = -5 if anchor == "end" else 5
            label = text(f"limit {number(limit)}", x + shift, TOP - 4, f"limit {anchor}")
            return joined(line(x, x, TOP - 12, HEIGHT - BOTTOM, "limit"), label)
    return None


def _legend(parts: Sequence[tuple[str, int, str]], whole: int) -> Html:
    items = (
        element(
            "li",
            element("span", class_=f"key {class_}", aria_hidden="true"),
            f"{name} ",
            element("b", f"{count:,}"),
            f" {percent(count, whole)}",
        )
        for name, count, class_ in parts
    )
    return element("ul", items, class_="legend")


def _in_words(bars: Sequence[Bar], unit: str) -> str:
    names = [bar_name(bar, bar is bars[-1]) for bar in bars]
    words = (f"{name}: {bar.count:,}" for name, bar in zip(names, bars, strict=True) if bar.count)
    return f"{unit} by value. {'; '.join(words)}"


def rect(x: float, y: float, width: float, height: float, class_: str) -> Html:
    places = {"x": x, "y": y, "width": width, "height": height}
    return element("rect", class_=class_, **{name: short(at) for name, at in places.items()})


def line(x1: float, x2: float, y1: float, y2: float, class_: str) -> Html:
    places = {"x1": x1, "x2": x2, "y1": y1, "y2": y2}
    return element("line", class_=class_, **{name: short(at) for name, at in places.items()})


def text(words: str, x: float, y: float, class_: str) -> Html:
    return element("text", words, x=short(x), y=short(y), class_=class_)


def short(place: float) -> str:
    return f"{place:.2f}".rstrip("0").rstrip(".")


def _round_up(count: int) -> int:
    """The next round number, which is where the axis ends."""
    size = 1
    while count > 10 * size:
        size *= 10
    return next(size * step for step in (1, 2, 3, 4, 5, 6, 8, 10) if size * step >= max(count, 1))
