"""What the repository shows: samples, rendered projects, and the commands of its README."""

import re
import shlex
import sys
from pathlib import Path

from conftest import ROOT, Command, run
from test_new import tree

README = (ROOT / "README.md").read_text("utf-8")


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


def test_the_table_in_the_readme_is_the_one_of_discovery() -> None:
    script = "import readme_table as r; text = r.README.read_text(); print(r.updated(text) == text)"
    assert run([sys.executable, "-c", script], ROOT / "examples").stdout == "True\n", (
        "make examples"
    )


def test_commands_in_the_readme_run(scaffold: Command) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    ours = [words[1:] for words in commands if words[0] == "rl-scaffolder"]
    assert len(ours) >= 5
    for words in ours:
        result = scaffold(*words)
        assert result.returncode == 0, f"{words}: {result.stderr}"
    others = {tuple(words) for words in commands if words[0] != "rl-scaffolder"}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(tool == "make" and f"\n{target}:" in makefile for tool, target in others)


def test_the_shown_project_tree_is_a_rendered_one() -> None:
    shown = README.split("my-project/\n")[1].split("```")[0]
    names = {word for line in shown.splitlines() for word in re.split(r"\s{2,}", line.strip())}
    files = {name for name in names if re.fullmatch(r"[\w./]+\.\w+|\w+/|Makefile", name)}
    project = ROOT / "examples" / "projects" / "trl-sft"
    assert len(files) >= 12
    there = {*(name for name in files if (project / name).exists()), "vendor/"}
    assert files <= there, files - there
