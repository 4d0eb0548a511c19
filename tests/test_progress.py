"""Bars are for terminals: a log has a line now and then, and nothing of the libraries' own."""

import os
import sys
from pathlib import Path

import pexpect
import pytest

from conftest import ROOT, run
from rl_rollouts.engine import progress

BARS = (
    "import rl_rollouts; from tqdm import tqdm; from tqdm.auto import tqdm as other\n"
    "for each in (tqdm, other): list(each(range(3), desc='bar'))"
)


def environment() -> dict[str, str]:
    kept = {name: each for name, each in os.environ.items() if name != "TQDM_DISABLE"}
    return {**kept, "PYTHONPATH": str(ROOT / "runtime")}


def test_a_pipe_has_none(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", BARS], tmp_path, env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_terminal_has_them(tmp_path: Path) -> None:
    child = pexpect.spawn(sys.executable, ["-c", BARS], env=environment(), encoding="utf-8")
    child.expect("bar: 100%")


@pytest.mark.parametrize(
    ("total", "wanted"),
    [
        (2_000_000, "reading: 50% of 2.00MB after 00:00"),
        (None, "reading: 1.00MB after 00:00"),
    ],
)
def test_a_log_has_a_line_now_and_then(
    total: int | None,
    wanted: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = iter((0.0, 10.0, 31.0, 31.0, 31.4, 40.0, 50.0))
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))
    with progress.progress("reading", total, "B") as bar:
        for _ in range(2):
            bar.update(500_000)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(wanted.replace("00:00", "00:31")) and "|" not in line
