"""The matrix: what is offered renders and parses, what is not is refused with all reasons."""

import itertools
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, TEMPLATES, run
from scaffolder import frameworks
from scaffolder import spec as specs
from scaffolder.errors import BrokenFramework, UnsupportedChoice
from scaffolder.frameworks import Framework, discover, matrix, names, resolve
from scaffolder.vocabulary import ALGORITHMS, PATTERNS, TOPOLOGIES

New = Callable[..., Path]
OFFERED = [(each.name, *rest) for each, *rest in matrix()]


def flags(framework: str, algorithm: str, topology: str, pattern: str) -> list[str]:
    words = zip(
        ("--framework", "--algorithm", "--topology", "--pattern"),
        (framework, algorithm, topology, pattern),
        strict=True,
    )
    return list(itertools.chain.from_iterable(words))


@pytest.mark.parametrize("choice", OFFERED, ids="-".join)
@pytest.mark.parametrize("size", [("1", "m-1b"), ("8", "m-8b")], ids="-".join)
@pytest.mark.parametrize("tracker", ["tensorboard", "none"])
def test_what_is_offered_renders_parses_and_lints(
    new: New, choice: tuple[str, str, str, str], size: tuple[str, str], tracker: str
) -> None:
    gpus, model = size
    answers = ("--gpus-per-node", gpus, "--model", model, "--tracker", tracker)
    project = new("p", *flags(*choice), *answers)
    for file in project.rglob("*.yaml"):
        assert yaml.safe_load(file.read_text("utf-8")), file
    for script in (project / "launch").glob("*.sh"):
        assert script.stat().st_mode & 0o100
        assert run(["bash", "-n", str(script)], project).returncode == 0
    tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert run(["make", "--dry-run", "train", "smoke", "test"], project).returncode == 0
    config = str(ROOT / "pyproject.toml")
    lint = run([sys.executable, "-m", "ruff", "check", "--config", config, "."], project)
    assert lint.returncode == 0, lint.stdout
    assert "{{" not in "".join(
        path.read_text("utf-8") for path in project.iterdir() if path.suffix in {".md", ".yaml"}
    )


def test_what_is_not_offered_is_refused_with_all_reasons() -> None:
    refused = set(itertools.product(discover(), ALGORITHMS, TOPOLOGIES, PATTERNS)) - set(OFFERED)
    assert refused
    for framework, algorithm, topology, pattern in refused:
        adapter = discover()[framework]
        answers = {"framework": framework, "algorithm": algorithm, "topology": topology}
        spec = specs.build({"project_name": "p", **answers, "pattern": pattern})
        wrong = [
            algorithm not in adapter.algorithms,
            topology not in adapter.topologies,
            pattern not in adapter.patterns,
        ]
        with pytest.raises(UnsupportedChoice) as error:
            resolve(spec)
        assert len(error.value.reasons) == sum(wrong)
        assert adapter.title in error.value.reasons[0]


def test_local_is_one_machine() -> None:
    spec = specs.build({"project_name": "p", "framework": "trl", "algorithm": "sft", "nodes": 2})
    with pytest.raises(UnsupportedChoice, match="one machine"):
        resolve(spec)


def test_a_framework_is_one_module_and_one_folder() -> None:
    assert names() == sorted(discover()) == ["custom", "trl"]
    for name, framework in discover().items():
        assert framework.name == name
        assert (TEMPLATES / f"{{{{{name}}}}}").is_dir()
        assert all(fact.source and fact.date for fact in framework.facts)


@pytest.mark.parametrize("name", ["trl", "custom"])
def test_the_script_knows_the_dataset_kind_that_the_adapter_declares(name: str) -> None:
    script = f"import json, prepare_for_{name} as p; print(json.dumps(p.KINDS))"
    overlays = [str(TEMPLATES / f"{{{{{part}}}}}") for part in ("base", name)]
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {overlays}; {script}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert yaml.safe_load(printed) == dict(discover()[name].algorithms)


def test_a_third_party_framework_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "theirs.py").write_text(
        "from scaffolder.frameworks.custom import Custom\n"
        "class Theirs(Custom):\n    name = 'theirs'\n    title = 'Theirs'\n"
        "FRAMEWORK = Theirs()\nWRONG = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("theirs", "theirs:FRAMEWORK", frameworks.GROUP)
    monkeypatch.setattr(frameworks, "entry_points", lambda group: [point])
    discover.cache_clear()
    try:
        assert list(discover()) == ["custom", "theirs", "trl"] == names()
        assert isinstance(discover()["theirs"], Framework)
        broken = EntryPoint("theirs", "theirs:WRONG", frameworks.GROUP)
        monkeypatch.setattr(frameworks, "entry_points", lambda group: [broken])
        discover.cache_clear()
        with pytest.raises(BrokenFramework, match="theirs"):
            discover()
    finally:
        discover.cache_clear()
