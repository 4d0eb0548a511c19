"""What the repository shows: samples and rendered projects."""

import sys
from pathlib import Path

from conftest import ROOT, run
from test_new import tree


def test_sample_rollouts_are_what_the_script_writes() -> None:
    script = (
        "import make_rollouts as m; print([p.read_text() == m.text(n) for p, n in m.FILES.items()])"
    )
    result = run([sys.executable, "-c", script], ROOT / "examples")
    assert result.stdout == "[True, True]\n", "run `make examples`"


def test_rendered_projects_are_what_the_templates_give(tmp_path: Path) -> None:
    script = f"import pathlib, render_projects as r; r.main(pathlib.Path({str(tmp_path / 'p')!r}))"
    result = run([sys.executable, "-c", script], ROOT / "examples")
    assert result.returncode == 0, result.stderr
    shown = tree(ROOT / "examples" / "projects")
    shown.pop("README.md")
    assert tree(tmp_path / "p") == shown, "run `make examples`"
