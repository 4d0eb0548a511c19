"""The matrix: what is offered renders and parses, what is not is refused with all reasons."""

import itertools
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import yaml

import warm
from conftest import LIBRARY, ROOT, TEMPLATES, TOOL, Result, run
from contracts.rendering import variant
from scaffolder import frameworks, library
from scaffolder import spec as specs
from scaffolder.errors import UnsupportedChoice
from scaffolder.frameworks import discover, matrix, names, resolve
from scaffolder.vocabulary import ALGORITHMS, OFFLINE, PATTERNS, TOPOLOGIES, DatasetKind

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


@pytest.mark.parametrize("framework", names())
def test_two_machines_are_told_apart_by_their_ranks(new: New, framework: str) -> None:
    words = ("--framework", framework, "--algorithm", "sft", "--nodes", "2")
    script = (new("p", *words, "--gpus-per-node", "8") / "launch" / "local.sh").read_text("utf-8")
    assert "wanted=8" in script
    assert "rank=${NODE_RANK:?$usage}" in script and "main=${MAIN_ADDRESS:?$usage}" in script


def test_a_framework_is_one_folder_and_one_overlay() -> None:
    assert names() == sorted(discover()) and {"custom", "trl"} <= set(discover())
    for name, framework in discover().items():
        assert framework.name == name
        assert (TEMPLATES / f"{{{{{name}}}}}").is_dir()
        assert all(fact.source and fact.date for fact in framework.facts)


@pytest.mark.parametrize(
    ("answers", "others"),
    [
        ({"framework": "trl", "algorithm": "ppo"}, ["algorithm ppo is offered by openrlhf, verl."]),
        (
            {"framework": "verl", "algorithm": "dpo", "tuning": "qlora"},
            [
                "algorithm dpo is offered by custom, openrlhf, trl.",
                "tuning qlora is offered by trl.",
            ],
        ),
        ({"framework": "trl", "algorithm": "sft", "topology": "slurm"}, []),
    ],
)
def test_who_else_offers_what_is_refused_is_said(
    answers: dict[str, str], others: list[str]
) -> None:
    with pytest.raises(UnsupportedChoice) as error:
        resolve(specs.build({"project_name": "p", **answers}))
    assert error.value.remedy.splitlines()[:-2] == others


def test_no_adapter_says_what_another_framework_offers() -> None:
    titles = {each.title for each in discover().values()} | {"NeMo-RL", "OpenRLHF"}
    for framework in discover().values():
        said = " ".join(framework.unavailable.values())
        assert not [each for each in titles - {framework.title} if each in said], framework.name


def test_the_library_knows_what_each_algorithm_reads() -> None:
    kinds = {name: library.dataset_kind(name) for name in ALGORITHMS}
    assert {name for name, kind in kinds.items() if kind != "prompts"} == OFFLINE
    assert get_args(DatasetKind) == get_args(library.load("values").Kind)
    assert set(library.load("values").KINDS) == set(ALGORITHMS)


FOUND = """
import json, sys, yaml
configs = {name: yaml.safe_load(text) for name, text in json.load(sys.stdin).items()}
print(json.dumps({name: p.CONFIG.kind(config) for name, config in configs.items()}))
"""


@pytest.mark.parametrize("name", names())
def test_the_script_knows_the_dataset_kind_of_each_algorithm(name: str) -> None:
    """As the script finds it in the config."""
    configs = {each: variant(name, each).config() for each in discover()[name].algorithms}
    script = f"import prepare_for_{name} as p\n" + FOUND
    overlays = [str(TEMPLATES / f"{{{{{part}}}}}") for part in ("base", name)]
    overlays.append(str(LIBRARY.parent))
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {overlays}; {script}"],
        input=json.dumps(configs),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = yaml.safe_load(printed)
    assert found == {each: library.dataset_kind(each) for each in discover()[name].algorithms}


THEIRS = """
from pathlib import Path
from typing import get_args
from scaffolder.frameworks.custom.adapter import Custom

class Theirs(Custom):
    name = "theirs"
    title = "Theirs"
    overlay = Path(__file__).parent / "overlay"

FRAMEWORK = Theirs()
NO_FRAMEWORK = 1
OTHER_NAME = Custom()
class Bare(Theirs):
    overlay = None
NO_OVERLAY = Bare()
class Hyphen(Theirs):
    name = "the-irs"
HYPHEN = Hyphen()
"""


def install(folder: Path, attribute: str, name: str = "theirs") -> dict[str, str]:
    """What pip leaves of a package that registers a framework; returns the environment."""
    (folder / "overlay").mkdir(parents=True)
    (folder / "theirs.py").write_text(THEIRS)
    (folder / "overlay" / "train_theirs.py").write_text("print('theirs')\n")
    (folder / "overlay" / "theirs_config.yaml.jinja").write_text("model: {{ model | to_json }}\n")
    info = folder / "theirs_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs-package\nVersion: 1.0\n")
    entry = f"[{frameworks.GROUP}]\n{name} = theirs:{attribute}\n"
    (info / "entry_points.txt").write_text(entry)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def scaffolder(folder: Path, environment: dict[str, str], *arguments: str) -> Result:
    return run([warm.python(*TOOL), "-m", "scaffolder", *arguments], folder, env=environment)


def test_a_package_brings_a_framework_with_its_own_templates(tmp_path: Path) -> None:
    environment = install(tmp_path / "site", "FRAMEWORK")
    listed = scaffolder(tmp_path, environment, "frameworks", "--json").stdout
    assert [entry["name"] for entry in json.loads(listed)["frameworks"]] == sorted(
        [*names(), "theirs"]
    )
    words = ("new", "p", "--framework", "theirs", "--algorithm", "sft", "--model", "a b")
    result = scaffolder(tmp_path, environment, *words)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "p" / "train_theirs.py").is_file()
    assert (tmp_path / "p" / "filter_rollouts.py").is_file()
    assert not (tmp_path / "p" / "train_custom.py").exists()
    assert yaml.safe_load((tmp_path / "p" / "theirs_config.yaml").read_text()) == {"model": "a b"}
    told = scaffolder(tmp_path, environment, "check", "p").stdout
    assert "Theirs" in told, "keys of a framework without a schema are not checked, and it is said"


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("NO_FRAMEWORK", "is no Framework"),
        ("OTHER_NAME", "is named custom"),
        ("NO_OVERLAY", "has no folder of templates"),
        ("MISSING", "has no attribute 'MISSING'"),
    ],
)
def test_a_broken_package_stops_nobody_else(tmp_path: Path, attribute: str, said: str) -> None:
    environment = install(tmp_path / "site", attribute)
    listed = scaffolder(tmp_path, environment, "frameworks", "--json")
    assert listed.returncode == 0 and said in listed.stderr
    assert [entry["name"] for entry in json.loads(listed.stdout)["frameworks"]] == list(discover())
    words = ("new", "p", "--algorithm", "sft", "--framework")
    theirs = scaffolder(tmp_path, environment, *words, "theirs")
    assert theirs.returncode == 2 and "uninstall theirs-package" in theirs.stderr
    assert scaffolder(tmp_path, environment, *words, "trl").returncode == 0


def test_a_name_that_no_folder_can_carry_is_refused(tmp_path: Path) -> None:
    environment = install(tmp_path / "site", "HYPHEN", "the-irs")
    said = scaffolder(tmp_path, environment, "frameworks").stderr
    assert "letters, digits and underscores" in said
