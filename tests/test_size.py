"""A rendered project can be read in one sitting: how many files of Python, and lines of them."""

from pathlib import Path

import pytest

from conftest import TEMPLATES
from projects import render
from rl_rollouts.values import KINDS
from scaffolder.frameworks import matrix

FILES, LINES = 20, 1200
TRAINER_OF_ITS_OWN = {"custom": 1800}
"""Its owner wants to read that too."""
PROSE = "README.md", "AGENTS.md"
OFFERED = [(each.name, *rest) for each, *rest in matrix()]


def sources(framework: str, algorithm: str, topology: str, pattern: str) -> dict[str, int]:
    """Lines of the Python files that a project gets: Python in templates is rendered as it is.

    Folders inside overlays, which only some projects have, count for all, but that of online ones.
    """
    overlays = {"base", framework, topology, pattern}
    without = "" if KINDS[algorithm] == "prompts" else "{{online}}"
    found = {}
    for overlay in overlays:
        folder = TEMPLATES / f"{{{{{overlay}}}}}"
        for path in folder.rglob("*.py"):
            inside = path.relative_to(folder).parts
            if without not in inside:
                name = "/".join(part for part in inside if not part.startswith("{{"))
                found[name] = len(path.read_text("utf-8").splitlines())
    return found


@pytest.mark.parametrize("choice", OFFERED, ids="-".join)
def test_a_project_stays_small(choice: tuple[str, str, str, str]) -> None:
    found = sources(*choice)
    assert len(found) <= FILES, sorted(found)
    assert sum(found.values()) <= TRAINER_OF_ITS_OWN.get(choice[0], LINES), found


@pytest.mark.parametrize("choice", {name: each for each in OFFERED for name in each[:1]}.values())
def test_that_is_what_is_rendered(tmp_path: Path, choice: tuple[str, str, str, str]) -> None:
    names = ("--framework", "--algorithm", "--topology", "--pattern")
    words = [word for pair in zip(names, choice, strict=True) for word in pair]
    project = render(tmp_path, *words)
    rendered = {
        path.relative_to(project).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in project.rglob("*.py")
    }
    assert rendered == sources(*choice)
    prose = [len((project / name).read_text("utf-8").splitlines()) for name in PROSE]
    assert prose[0] < 250 and prose[1] < 60
    tests = {path.name for path in (project / "tests").glob("test_*.py")}
    assert tests == {"test_config.py", "test_data.py", "test_rewards.py"}
