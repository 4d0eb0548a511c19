"""Tables and the small pieces that all sections are made of."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..survey.summary import Bar, Figures
from .charts import bar_name
from .markup import Child, Html, element, joined
from .numbers import number, percent

Row = Sequence[Child]


class Section(NamedTuple):
    """A part of the page, to which the list of contents links."""

    name: str
    title: str
    html: Html


def section(name: str, title: str, *children: Child) -> Section:
    heading = element("h2", title, id=f"{name}-title")
    html = element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")
    return Section(name, title, html)


def card(title: str, *children: Child, wide: bool = False) -> Html:
    return element("div", element("h3", title), *children, class_="card wide" if wide else "card")


def grid(*cards: Child) -> Html:
    return element("div", *cards, class_="grid")


def note(*children: Child) -> Html:
    return element("p", *children, class_="note")


def table(caption: str, head: Sequence[str], rows: Iterable[Row], numeric: int = 0) -> Html:
    """A table whose first column names the row. The last `numeric` columns are numbers."""
    names = len(head) - numeric
    titles = (
        element("th", title, scope="col", class_="number" if index >= names else None)
        for index, title in enumerate(head)
    )
    body = (element("tr", _cells(row, names)) for row in rows)
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", titles)),
            element("tbody", body),
        ),
        class_="scroll",
        role="region",
        aria_label=caption,
        tabindex="0",
    )


def facts(pairs: Iterable[tuple[str, Child]], class_: str = "facts") -> Html:
    """Names and values: a line each, or with the class `row` one line of them."""
    shown = (element("div", element("dt", name), element("dd", value)) for name, value in pairs)
    return element("dl", shown, class_=class_)


def quantiles(figures: Figures) -> list[tuple[str, str]]:
    """Names and values, for `facts`."""
    names = {
        "lowest": figures.low,
        "p5": figures.p05,
        "median": figures.median,
        "mean": figures.mean,
        "p95": figures.p95,
        "highest": figures.high,
    }
    return [(name, number(value)) for name, value in names.items()]


def bars_table(caption: str, bars: Sequence[Bar], head: str) -> Html:
    """The numbers of a histogram, folded."""
    whole = sum(bar.count for bar in bars)
    rows = [
        (bar_name(bar, bar is bars[-1]), f"{bar.count:,}", percent(bar.count, whole))
        for bar in bars
        if bar.count
    ]
    shown = table(caption, (head, "count", "share"), rows, numeric=2)
    return element("details", element("summary", "Numbers"), shown, class_="numbers")


def _cells(row: Row, names: int) -> Html:
    first, *others = row
    cells = (
        element("td", cell, class_="number" if index >= names else None)
        for index, cell in enumerate(others, start=1)
    )
    return joined(element("th", first, scope="row"), cells)
