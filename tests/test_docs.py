"""The README and the pages of docs/: what they say of commands, frameworks and files is so."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Command, run
from scaffolder.frameworks import Framework, discover
from scaffolder.vocabulary import WISHES

DOCS = ROOT / "docs"
README, *PAGES = ROOT / "README.md", *sorted(DOCS.rglob("*.md"))
INSTALLERS = {"pipx", "uvx"}
OFFERED = ("algorithms", "tunings", "shardings", "generations", "rows_with_tools")


def commands(page: Path) -> list[list[str]]:
    """The words of what its readers are to type."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def with_commands(tools: set[str]) -> Iterator[Path]:
    for page in (README, *PAGES):
        if any(words[0] in tools for words in commands(page)):
            yield page


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_is_read_in_minutes() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 150


def test_the_tables_are_those_of_discovery() -> None:
    script = "import readme_table as r; print([r.updated(p) == p.read_text() for p in r.PAGES])"
    result = run([sys.executable, "-c", script], ROOT / "examples")
    assert result.stdout == "[True, True]\n", "run `make examples`"


@pytest.mark.parametrize("page", with_commands({"rl-scaffolder"}), ids=name)
def test_its_commands_run(scaffold: Command, tmp_path: Path, page: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "examples").symlink_to(ROOT / "examples")
    for words in commands(page):
        if words[0] == "rl-scaffolder":
            result = scaffold(*words[1:], cwd=clone)
            assert result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"


def test_other_commands_are_targets_or_run_by_the_test_below() -> None:
    assert README in with_commands({"rl-scaffolder"}) and README in with_commands({"make"})
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in (README, *PAGES):
        for tool, *words in commands(page):
            known = tool == "make" and f"\n{words[0]}:" in makefile
            assert known or tool in {"rl-scaffolder", *INSTALLERS}, (page, tool, words)


@pytest.mark.long
@pytest.mark.parametrize("installer", sorted(INSTALLERS))
def test_the_readme_says_how_to_install_it(tmp_path: Path, installer: str) -> None:
    [words] = [words for words in commands(README) if words[0] == installer]
    own = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin", "UV_CACHE_DIR": "cache"}
    places = {word: str(tmp_path / folder) for word, folder in own.items()}
    path = os.pathsep.join(
        [places["PIPX_BIN_DIR"], str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment = {**alone, **places, "PATH": path}
    done = run(words, ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    if installer == "pipx":
        done = run([f"{places['PIPX_BIN_DIR']}/rl-scaffolder", "frameworks"], tmp_path, env=alone)
    assert all(name in done.stdout for name in discover()), done.stderr


@pytest.mark.parametrize("framework", discover().values(), ids=lambda each: each.name)
def test_each_framework_has_a_page_of_what_it_offers(framework: Framework) -> None:
    text = (DOCS / "frameworks" / f"{framework.name}.md").read_text("utf-8")
    assert framework.version in text and framework.homepage in text
    offered = {word for kind in OFFERED for word in getattr(framework, kind)}
    assert not {word for word in offered if f"`{word}`" not in text}
    for topology in framework.topologies:
        assert f"--topology {topology}`" in (DOCS / "topologies" / f"{topology}.md").read_text()


def test_the_page_on_choosing_has_all_that_may_matter() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "choosing.md").read_text("utf-8"), re.MULTILINE)
    assert rows == list(WISHES)


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md", *PAGES], ids=name)
def test_its_links_lead_to_files(page: Path) -> None:
    links = re.findall(r'\]\(([^)#]+)[^)]*\)|src="([^"]+)"', page.read_text("utf-8"))
    targets = [first or second for first, second in links]
    missing = [each for each in targets if "://" not in each and not (page.parent / each).exists()]
    assert not missing


def test_the_shown_project_tree_is_a_rendered_one() -> None:
    shown = README.read_text("utf-8").split("my-project/\n")[1].split("```")[0]
    names = {word for line in shown.splitlines() for word in re.split(r"\s{2,}", line.strip())}
    files = {name for name in names if re.fullmatch(r"[\w./]+\.\w+|\w+/|Makefile", name)}
    project = ROOT / "examples" / "projects" / "trl-sft"
    assert len(files) >= 12
    there = {*(name for name in files if (project / name).exists()), "vendor/"}
    assert files <= there, files - there
