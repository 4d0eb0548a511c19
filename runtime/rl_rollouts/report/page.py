"""The page: what comes first, and in which order the rest."""

from collections.abc import Sequence
from importlib.resources import files

import msgspec

from ..engine.manifest import Manifest
from ..survey import Finding, Summary, findings
from ..survey.findings import word_for
from ..survey.forecast import Forecast
from . import sections
from .lengths import Lengths
from .markup import Html, element, joined
from .numbers import number, percent
from .reading import samples
from .stages import inputs, stages, total
from .tables import Section, facts
from .tokens import tokens, verdict

STYLE = files(__package__) / "style.css"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the browser is allowed: the style in the page, and nothing else."""


class Report(msgspec.Struct):
    """All that a page shows."""

    summary: Summary
    inputs: Sequence[str]
    """As they were given."""
    manifests: Sequence[Manifest] = ()
    lengths: Lengths | None = None
    forecast: Forecast | None = None
    """What the trainer will do with the rows."""

    @property
    def title(self) -> str:
        run = self.lengths.trainer.run if self.lengths else None
        return f"Rollouts of {run}" if run else "Rollouts"

    def findings(self) -> list[Finding]:
        """Those of the rollouts, and what the trainer will do to long rows."""
        found = [*_of_trainer(self.forecast), *findings(self.summary)]
        lengths = self.lengths
        if lengths is None or not lengths.rows or lengths.trainer.limit is None:
            return found
        if lengths.long:
            return [Finding("warning", verdict(lengths)), *found]
        return [*found, Finding("good", verdict(lengths))]


def _of_trainer(forecast: Forecast | None) -> list[Finding]:
    """What the trainer will do with rows as they are, whatever their length."""
    if forecast is None:
        return []
    if forecast.problem:
        return [Finding("warning", f"Training would stop: {forecast.problem}.")]
    steps = "; ".join(forecast.steps_in_words()).removeprefix("steps    ")
    words = forecast.rows_in_words()
    return [Finding("good", f"The trainer takes {words}{f', in steps: {steps}' if steps else ''}.")]


def page(report: Report) -> Html:
    """The whole file."""
    summary = report.summary
    body = (
        stages(report.manifests),
        sections.rewards(summary),
        sections.tasks(summary),
        sections.shape(summary),
        tokens(report.lengths, report.forecast),
        sections.tools(summary),
        samples(summary.samples),
        inputs(report.manifests),
    )
    shown = [section for section in body if section]
    html = element("html", head(report.title), _body(report, shown), lang="en")
    return joined(Html("<!doctype html>\n"), html)


def head(title: str) -> Html:
    """What stands before the body of a page."""
    style = Html(STYLE.read_text("utf-8"))
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )


def _body(report: Report, body: Sequence[Section]) -> Html:
    header = element(
        "header",
        element("h1", report.title),
        element("p", ", ".join(report.inputs), class_="from"),
        facts(_figures(report), "figures"),
        sections.findings_list(report.findings()),
    )
    links = (element("a", section.title, href=f"#{section.name}") for section in body)
    contents = element("nav", links, aria_label="Contents")
    return element("body", header, contents, element("main", [each.html for each in body]))


def _figures(report: Report) -> list[tuple[str, Html]]:
    """The few numbers that come first, each with what it is a part of."""
    summary = report.summary
    tasks = summary.tasks
    shown = [(word_for(summary), f"{summary.rollouts:,}", f"of {summary.read:,} lines")]
    if summary.rewards:
        shown += [
            ("tasks", f"{tasks.count:,}", "estimated" if tasks.share < 1 else ""),
            ("mean reward", number(summary.rewards.mean), ""),
            ("solved", percent(summary.solved, summary.rollouts), f"{summary.solved:,} rollouts"),
            ("differing rewards", percent(tasks.differing, tasks.count), "of the tasks"),
        ]
    for manifest in report.manifests:
        if rows := manifest.counts.get("training rows"):
            held = total(manifest.counts.get("held-out rows", 0))
            shown.append(("training rows", f"{total(rows):,}", f"{held:,} held out"))
    return [
        (name, joined(element("b", value), element("small", about) if about else None))
        for name, value, about in shown
    ]
