"""Draw the curves of a run: one HTML file that needs no network.

    python -m rl_rollouts.report.plot outputs/my-run/log.jsonl --output curve.html

The log has one JSON object a logged step. Loss, reward, lengths, gradient norm and whatever else is
in it under a name that is known here become a chart each: all values faintly, and the mean of those
around each.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..engine.write import Output
from ..errors import UserError, run
from ..survey import Finding
from ..survey.findings import Weight
from .curves import Curve, chart, legend, value
from .log import Entry, read
from .markup import Html, element, joined
from .page import head
from .sections import findings_list
from .tables import card, facts, grid, section


class Wanted(NamedTuple):
    """One chart, where the log has something for it."""

    title: str
    keys: dict[str, str]
    """Keys of the log, each with what it is called; of several with one name the first counts."""
    spread: str = ""
    """Key of how far single values lie around the mean."""
    from_zero: bool = False
    unit: str = ""
    """Of the values; with a % they are shares."""


CUT, ONE_REWARD = "Responses cut at the limit", "Groups with one reward"
MOSTLY = 0.5
"""A share of responses or groups from which on it is said."""
CHARTS = (
    Wanted(
        "Reward",
        {"reward": "in training", "eval_reward": "held out"},
        "reward_std",
        unit="mean of the responses",
    ),
    Wanted("Loss", {"loss": "in training", "eval_loss": "held out"}, unit="as the trainer logs it"),
    Wanted(
        "Rewards of pairs",
        {"rewards/chosen": "chosen", "rewards/rejected": "rejected"},
        unit="as the loss compares them",
    ),
    Wanted(
        "Pairs in the right order",
        {
            "rewards/accuracies": "in training",
            "accuracy": "in training",
            "eval_rewards/accuracies": "held out",
            "eval_accuracy": "held out",
        },
        from_zero=True,
        unit="% of pairs",
    ),
    Wanted(
        "Margin of pairs",
        {
            "rewards/margins": "in training",
            "margin": "in training",
            "eval_rewards/margins": "held out",
            "eval_margin": "held out",
        },
        unit="chosen less rejected",
    ),
    Wanted(
        "Response length",
        {"completions/mean_length": "mean", "completions/max_length": "longest"},
        from_zero=True,
        unit="tokens",
    ),
    Wanted(CUT, {"completions/clipped_ratio": "share"}, from_zero=True, unit="% of responses"),
    Wanted(ONE_REWARD, {"frac_reward_zero_std": "share"}, from_zero=True, unit="% of groups"),
    Wanted("Divergence from the reference", {"kl": "KL"}, unit="nats a token"),
    Wanted("Entropy", {"entropy": "in training", "eval_entropy": "held out"}, unit="nats a token"),
    Wanted(
        "Tokens guessed right",
        {"mean_token_accuracy": "in training", "eval_mean_token_accuracy": "held out"},
        unit="% of tokens",
    ),
    Wanted("Gradient norm", {"grad_norm": "norm"}, from_zero=True, unit="L2 norm"),
    Wanted("Learning rate", {"learning_rate": "rate"}, from_zero=True, unit="a step"),
    Wanted("Throughput", {"tokens_per_second": "tokens"}, from_zero=True, unit="tokens a second"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rl_rollouts.report.plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("log", type=Path, help="log.jsonl of a run")
    parser.add_argument("--output", type=Path, default=Path("curve.html"), help="HTML file")
    arguments = parser.parse_args()
    output: Path = arguments.output
    if output.suffix not in {".html", ".htm"}:
        raise UserError(f"--output {output} is no name of a web page.", "Give one like curve.html.")
    html = page(arguments.log, read(arguments.log))
    with Output(output) as file:
        file.write(html.encode())
    print(f"wrote {output}")


def curves_of(wanted: Wanted, entries: Sequence[Entry]) -> list[Curve]:
    """The curves that the log has for a chart."""
    found: dict[str, Curve] = {}
    for key, name in wanted.keys.items():
        logged = [entry for entry in entries if _number(entry, key) is not None]
        if not logged or name in found:
            continue
        points = [(float(entry["step"]), float(entry[key])) for entry in logged]
        spread = [_number(entry, wanted.spread) for entry in logged] if key == "reward" else []
        known = [each for each in spread if each is not None]
        found[name] = Curve(name, points, known if len(known) == len(points) else ())
    return list(found.values())


def page(log: Path, entries: Sequence[Entry]) -> Html:
    """The whole file.

    Raises:
        UserError: when there is nothing to draw.
    """
    drawn = [(wanted, curves_of(wanted, entries)) for wanted in CHARTS]
    charts = [(wanted, curves) for wanted, curves in drawn if curves]
    if not charts:
        raise UserError(f"{log} holds no value to draw.", "Wait until the run has logged a step.")
    title = _title(log.resolve().parent)
    header = element(
        "header",
        element("h1", title),
        element("p", str(log), class_="from"),
        facts(_figures(entries, charts), "figures"),
        findings_list(list(_findings(entries, charts))),
    )
    cards = [
        card(
            wanted.title,
            chart(wanted.title, curves, from_zero=wanted.from_zero, unit=wanted.unit),
            legend(curves) if len(curves) > 1 or curves[0].spread else None,
        )
        for wanted, curves in charts
    ]
    body = element("body", header, element("main", section("curves", "Curves", grid(*cards)).html))
    return joined(Html("<!doctype html>\n"), element("html", head(title), body, lang="en"))


def _title(folder: Path) -> str:
    """What was trained: `outputs/<run>`, or `<project>/smoke/run`."""
    if (folder.parent.name, folder.name) == ("smoke", "run"):
        return f"Smoke run of {folder.parent.parent.name}"
    return f"Training of {folder.name}"


Charts = Sequence[tuple[Wanted, list[Curve]]]


def _figures(entries: Sequence[Entry], charts: Charts) -> list[tuple[str, Html]]:
    last = entries[-1]
    total = last.get("total_steps")
    of = f"of {total:,.0f}" if isinstance(total, int | float) else ""
    shown = [("steps", f"{last['step']:,.0f}", of)]
    for wanted, curves in charts:
        if wanted.title in {"Reward", "Loss", "Pairs in the right order"}:
            first, end = ends(curves[0])
            shown.append((wanted.title.lower(), value(end), f"at first {value(first)}"))
    return [
        (name, joined(element("b", text), element("small", about))) for name, text, about in shown
    ]


def ends(curve: Curve) -> tuple[float, float]:
    """Mean of the first and of the last fifth of the values."""
    values = [amount for _, amount in curve.points]
    fifth = max(1, len(values) // 5)
    return sum(values[:fifth]) / fifth, sum(values[-fifth:]) / fifth


def _findings(entries: Sequence[Entry], charts: Charts) -> Iterator[Finding]:
    """What should make one look closer."""
    for key in dict.fromkeys(key for wanted in CHARTS for key in wanted.keys):
        if odd := sum(_is_odd(entry, key) for entry in entries):
            yield Finding(
                "warning", f"{key} is no finite number at {odd:,} of {len(entries):,} steps."
            )
    shares = {wanted.title: ends(curves[0])[1] for wanted, curves in charts}
    if (cut := shares.get(CUT, 0)) > MOSTLY:
        yield Finding(
            "warning",
            f"At the end {cut:.0%} of the responses are cut off at the limit: what they are worth "
            "says little. Allow longer ones, or see why the model does not stop.",
        )
    if (same := shares.get(ONE_REWARD, 0)) > MOSTLY:
        yield Finding(
            "warning",
            f"At the end {same:.0%} of the groups have one reward for all responses: nothing "
            "is learned from them.",
        )
    for wanted, curves in charts:
        first, last = ends(curves[0])
        if len(curves[0].points) < 2:
            continue
        moved = f"from {value(first)} to {value(last)} (means of the first and the last fifth)"
        if wanted.title == "Reward":
            verb = "rose" if last > first else "did not rise: it went"
            weight: Weight = "warning" if last <= first else "note" if cut > MOSTLY else "good"
            yield Finding(weight, f"The reward {verb} {moved}.")
        elif wanted.title == "Loss" and not _has(charts, "Reward"):
            yield Finding("good" if last < first else "warning", f"The loss went {moved}.")


def _has(charts: Charts, title: str) -> bool:
    return any(wanted.title == title for wanted, _ in charts)


def _number(entry: Mapping[str, Any], key: str) -> float | None:
    amount = entry.get(key)
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return None
    return float(amount) if math.isfinite(amount) else None


def _is_odd(entry: Mapping[str, Any], key: str) -> bool:
    return key in entry and _number(entry, key) is None


if __name__ == "__main__":
    run(main)
