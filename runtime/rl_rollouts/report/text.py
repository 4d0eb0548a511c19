"""The same in a few lines for a terminal."""

from collections.abc import Iterator, Sequence

from ..engine.manifest import Manifest
from ..survey.findings import word_for
from .numbers import number
from .page import Report
from .stages import total

SIGNS = {"warning": "!", "note": "-", "good": "+"}


def text(report: Report) -> str:
    """Figures, findings and stages."""
    lines = [*_figures(report), "", *_findings(report), *_stages(report.manifests)]
    return "\n".join(map(_printable, lines))


def _figures(report: Report) -> Iterator[str]:
    summary = report.summary
    yield f"{summary.rollouts:>12,}  {word_for(summary)} of {summary.read:,} lines"
    yield f"{summary.tasks.count:>12,}  tasks"
    if summary.rewards:
        yield f"{number(summary.rewards.mean):>12}  mean reward"
        yield f"{summary.solved:>12,}  solved, with a reward of {summary.solved_from:g} or more"


def _findings(report: Report) -> Iterator[str]:
    for finding in report.findings():
        yield f"{SIGNS[finding.weight]} {finding.text}"


def _stages(manifests: Sequence[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        yield f"\n{manifest.output}"
        for name, count in manifest.counts.items():
            yield f"{total(count):>10,}  {name}"
            reasons = count if isinstance(count, dict) else {}
            for reason, lines in sorted(reasons.items(), key=lambda each: -each[1]):
                yield f"{lines:>14,}  {reason}"


def _printable(line: str) -> str:
    """Without the control characters that names and reasons may hold."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in line)
