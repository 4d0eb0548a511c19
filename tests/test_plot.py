"""The curves of a run: `python -m rl_rollouts.report.plot log.jsonl`."""

import json
import math
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from rl_rollouts.errors import UserError
from rl_rollouts.report import log as run_log
from rl_rollouts.report import plot
from rl_rollouts.report.curves import MOST, Curve, chart, smooth
from scripts import call

SCRIPT = "rl_rollouts.report.plot"
Entry = dict[str, Any]


def log(folder: Path, *entries: Entry | str) -> Path:
    path = folder / "log.jsonl"
    lines = (each if isinstance(each, str) else json.dumps(each) for each in entries)
    path.write_text("\n".join(lines) + "\n")
    return path


def run_of(steps: int) -> list[Entry]:
    """A run as TRL's GRPO logs it, with the summary at its end."""
    entries = [
        {
            "step": step,
            "loss": 0.01 * (-1) ** step,
            "reward": step / steps,
            "reward_std": 0.2,
            "completions/mean_length": 40 + step,
            "grad_norm": 1.5,
            "learning_rate": 1e-6,
            "num_tokens": 10 * step,
        }
        for step in range(1, steps + 1)
    ]
    return [*entries, {"step": steps, "train_runtime": 3.0, "train_loss": 0.1}]


def titles(html: str) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", html)


def test_the_page_has_a_chart_for_what_was_logged(tmp_path: Path) -> None:
    log(tmp_path, *run_of(60), {"step": 60, "eval_reward": 0.9})
    done = call(SCRIPT, tmp_path, "log.jsonl --output curve.html")
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "curve.html").read_text("utf-8")
    assert titles(html) == [
        "Reward", "Loss", "Response length", "Gradient norm", "Learning rate"
    ]  # fmt: skip
    assert html.count('class="raw"') == 5 and html.count('class="mean"') == 5
    assert html.count("<polygon") == 1, "the spread of the reward"
    assert "The reward rose from 0.108 to 0.908" in html
    assert "in training by step: 0.0167 at step 1, 1 at step 60" in html
    assert "<title>step 30: in training 0.5</title>" in html
    assert "held out" in html


def test_the_page_needs_no_network_and_cannot_be_broken(tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)<"
    folder.mkdir()
    html = plot.page(folder / "log.jsonl", run_of(3))
    assert "<script" not in html and "&lt;script" in html
    assert not re.search(r"(src|href)=|https?://|url\(", html.replace("url(#", ""))
    assert "default-src 'none'" in unescape(html) and "prefers-color-scheme: dark" in html


def test_short_and_long_runs(tmp_path: Path) -> None:
    for steps in (1, 2, 19, 5000):
        html = plot.page(tmp_path / "log.jsonl", run_log.read(log(tmp_path, *run_of(steps))))
        assert "NaN" not in html and "nan" not in re.findall(r'points="(.*?)"', html)
        assert len(html) < 600_000
        assert max(map(len, re.findall(r'points="(.*?)"', html))) < 30 * 2 * MOST


def test_extremes_are_not_lost_when_there_are_many_values() -> None:
    points = [(float(step), 9.0 if step == 7_777 else 1.0) for step in range(20_000)]
    drawn = chart("x", [Curve("x", points)])
    raw = re.findall(r'class="raw" points="(.*?)"', drawn)[0].split()
    heights = [float(place.split(",")[1]) for place in raw]
    assert heights.count(min(heights)) == 1 and max(heights) - min(heights) > 100


def test_the_mean_follows_without_lag() -> None:
    line = [(float(step), 2.0 * step) for step in range(300)]
    assert [round(value, 6) for _, value in smooth(line)][10:290] == [
        2.0 * s for s in range(10, 290)
    ]
    noise = [(float(step), (-1.0) ** step) for step in range(300)]
    assert max(abs(value) for _, value in smooth(noise)) < 0.2
    assert smooth(line[:5]) == line[:5]


def test_values_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    entries: list[Entry] = [
        {"step": 1, "loss": math.nan},
        {"step": 2, "loss": 1.0},
        {"step": 3, "loss": "2"},
    ]
    html = plot.page(tmp_path / "log.jsonl", run_log.read(log(tmp_path, *entries)))
    assert "loss is no finite number at 2 of 3 steps" in html


def test_pairs_and_own_trainers_have_their_curves(tmp_path: Path) -> None:
    entries = [
        {"step": 1, "total_steps": 9, "loss": 1, "tokens_per_second": 5, "rewards/chosen": 0.1,
         "rewards/rejected": 0, "rewards/accuracies": 0.5, "rewards/margins": 0.1}
    ]  # fmt: skip
    html = plot.page(tmp_path / "log.jsonl", entries)
    assert {"Rewards of pairs", "Pairs in the right order", "Margin of pairs"} <= {*titles(html)}
    assert "Throughput" in titles(html) and "of 9" in html
    assert "second" in re.findall(r'<circle class="(.*?)"', html)[2]


def test_a_log_that_is_being_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = log(tmp_path, *run_of(3))
    path.write_text(path.read_text() + '{"step": 4, "lo')
    assert run_log.read(path)[-1]["step"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"loss": 1}\n', "log.jsonl:1 is no JSON"), ("no\n", ":1 is no JSON"), ("", "no value")],
)
def test_what_is_no_log_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    done = call(SCRIPT, tmp_path, "log.jsonl --output curve.html")
    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "curve.html").exists()
    with pytest.raises(UserError, match="There is no"):
        run_log.read(tmp_path / "none")
    named = call(SCRIPT, tmp_path, "log.jsonl --output log.jsonl")
    assert named.returncode == 2 and "no name of a web page" in named.stderr


def test_the_log_of_verl_is_read_under_our_names(tmp_path: Path) -> None:
    """It nests what was logged, and begins anew when a run is resumed."""

    def entry(step: int, **logged: float) -> str:
        named = {key.replace("__", "/"): value for key, value in logged.items()}
        return json.dumps({"step": step, "data": named}) + "\n"

    earlier = [entry(step, critic__score__mean=0.1, actor__grad_norm=1.0) for step in (1, 2, 3)]
    (tmp_path / "log.1.jsonl").write_text("".join(earlier))
    (tmp_path / "log.jsonl").write_text(entry(3, critic__score__mean=0.9) + entry(4, x__y=2.0))
    read = run_log.read(tmp_path / "log.jsonl")
    assert [each["step"] for each in read] == [1, 2, 3, 4]
    assert [each.get("reward") for each in read] == [0.1, 0.1, 0.9, None]
    assert read[3]["x/y"] == 2.0
    html = plot.page(tmp_path / "log.jsonl", read)
    assert "Reward" in html and "Gradient norm" in html


def labels(html: str) -> list[tuple[str, float, str]]:
    """Words, where they stand and to which side they reach, of a chart."""
    found = re.findall(r'<text x="(.*?)" y=".*?" class="(.*?)">(.*?)</text>', html)
    return [(unescape(words), float(x), side) for x, side, words in found]


@pytest.mark.parametrize("values", [(-12345.6, -0.00012), (0.00001, 0.00002), (3, 3), (-0.0251, 0)])
def test_no_label_is_clipped(values: tuple[float, float]) -> None:
    drawn = chart("x", [Curve("x", list(enumerate(values)))], unit="% of responses")
    found = labels(drawn)
    assert len(found) > 4
    for words, x, side in found:
        wide = 6.2 * len(words)
        start = x - wide if "end" in side else x if "start" in side else x - wide / 2
        assert start >= 0 and start + wide <= 420, words


@pytest.mark.parametrize(
    ("value", "axis"), [(0.0, ("0", "1")), (0.3, ("0", "0.3")), (-2.0, ("-2", "0"))]
)
def test_a_constant_is_drawn_as_high_as_it_is(value: float, axis: tuple[str, str]) -> None:
    drawn = chart("x", [Curve("x", [(1, value), (2, value), (3, value)])])
    ticks = [words for words, _, side in labels(drawn) if side == "tick end"][:-1]
    assert (ticks[0], ticks[-1]) == axis


def test_axes_have_units(tmp_path: Path) -> None:
    shares = [{"completions/clipped_ratio": 0.25, "mean_token_accuracy": 0.5}] * 3
    entries = [{**each, **more} for each, more in zip(run_of(3), shares, strict=False)]
    html = plot.page(tmp_path / "log.jsonl", entries)
    for words in ("tokens", "% of responses", "% of tokens", "step 3", "25%", "L2 norm"):
        assert f">{words}</text>" in html


def test_a_reward_that_rises_while_responses_are_cut_is_no_success(tmp_path: Path) -> None:
    entries = [{**each, "completions/clipped_ratio": 1.0} for each in run_of(20)]
    html = plot.page(tmp_path / "log.jsonl", entries)
    assert "100% of the responses are cut off at the limit" in html
    assert "The reward rose" in html and "Good: " not in html


def test_the_title_names_what_was_trained(tmp_path: Path) -> None:
    smoke = plot.page(tmp_path / "my-project" / "smoke" / "run" / "log.jsonl", run_of(3))
    assert "Smoke run of my-project" in smoke
    own = plot.page(tmp_path / "my-project" / "outputs" / "mine" / "log.jsonl", run_of(3))
    assert "Training of mine" in own
