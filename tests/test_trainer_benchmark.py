"""The benchmark of the custom trainer, at a size that says nothing."""

import re
import sys
from pathlib import Path

import pytest

from conftest import ROOT, run

pytestmark = pytest.mark.long

BENCH = ROOT / "benchmarks" / "trainer_bench.py"
START = "<!-- trainer: written by trainer_bench.py, not by hand -->"


def test_speed_is_measured_against_trl_and_written_down(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{START}\nold\n<!-- end of trainer -->\nafter\n")
    words = ["--quick", "--scratch", str(tmp_path / "scratch"), "--markdown", str(page)]
    done = run([sys.executable, str(BENCH), *words], tmp_path)
    assert done.returncode in {0, 1}, done.stderr
    found = page.read_text()
    assert found.startswith(f"before\n{START}\nMeasured on ") and found.endswith("after\n")
    assert "old" not in found and "torch 2.13.0" in found
    ratios = re.findall(r"times TRL's \| (\d+\.\d+) \(", found)
    rates = re.findall(r"\| (?:custom, \w+|TRL) \| [\d,]+ weights \| ([\d,]+) \|", found)
    assert len(ratios) == 2 and len(rates) == 3
    assert all(float(ratio) > 0.1 for ratio in ratios)
    assert all(int(rate.replace(",", "")) > 100 for rate in rates)
    assert (done.returncode == 1) == ("**no**" in found)
