"""A framework of another package: installed beside the tool's wheel, it is one like ours."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType

import pexpect
import pytest
import yaml

from conftest import ROOT, Result, run
from projects import SAMPLE, curve, make, python, rows
from scaffolder.frameworks import Framework, names
from test_wizard import ENTER, LAST, NOT_THERE, SIZES, enter, talk

pytestmark = pytest.mark.long

SOURCE = ROOT / "tests" / "third_party"
OVERLAY = SOURCE / "rl_scaffolder_acme" / "overlay"
Tool = Callable[..., Result]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rl-scaffolder` in an empty environment, with both packages from their wheels."""
    folder = tmp_path_factory.mktemp("environment")
    shutil.copytree(SOURCE, folder / "acme", ignore=shutil.ignore_patterns("__pycache__"))
    for source in (ROOT, folder / "acme"):
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
        subprocess.run([*build, "--outdir", str(folder)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet"]
    wheels = sorted(map(str, folder.glob("*.whl")))
    assert len(wheels) == 2
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([*pip, *wheels], check=True, env=environment)
    return folder / "venv" / "bin" / "rl-scaffolder"


@pytest.fixture
def tool(program: Path, tmp_path: Path) -> Tool:
    return lambda *words: run([str(program), *words], tmp_path)


NEW = ("--framework", "acme", "--algorithm", "sft")


@pytest.fixture(scope="module")
def rendered(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the framework, not to be changed."""
    folder = tmp_path_factory.mktemp("rendered")
    done = run([str(program), "new", "p", "--json", *NEW, "--model", "org/m-1b"], folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["path"]) == folder / "p"
    assert "train_acme.py" in said["files"] and "acme_rows.py" in said["files"]
    return folder / "p"


@pytest.fixture
def project(rendered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(rendered, tmp_path / "p")


def test_it_is_listed_beside_ours(tool: Tool) -> None:
    done = tool("frameworks", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)["frameworks"]}
    assert sorted(listed) == sorted([*names(), "acme"])
    assert (listed["acme"]["version"], listed["acme"]["algorithms"]) == ("1.0", ["sft"])


def test_its_project_is_whole(rendered: Path) -> None:
    answers = yaml.safe_load((rendered / ".copier-answers.yml").read_text("utf-8"))
    assert (answers["framework"], answers["plan"]["micro_batch_size"]) == ("acme", 1)
    config = yaml.safe_load((rendered / "acme_config.yaml").read_text("utf-8"))
    assert (config["model_name_or_path"], config["output_dir"]) == ("org/m-1b", "outputs/p")
    assert "acme 1.0" in (rendered / "README.md").read_text("utf-8").replace("**", "")
    assert not list(rendered.glob("*custom*")) and not list(rendered.glob("*trl*"))
    for file in OVERLAY.rglob("*.py"):
        assert (rendered / file.relative_to(OVERLAY)).read_bytes() == file.read_bytes()


def test_make_smoke_trains_in_its_project(project: Path) -> None:
    done = make(project, "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: smoke/run/final loads with transformers" in done.stdout
    losses = curve(project / "smoke" / "run" / "log.jsonl")
    assert list(losses) == list(range(1, 31)) and losses[30] < losses[1]
    assert list((project / "smoke" / "run").glob("events.out.tfevents.*"))
    config = ("--config", "smoke_config.yaml", "--data_path", "smoke/training_data.jsonl")
    assert python(project, "train_acme.py", *config).returncode == 2
    again = python(project, "train_acme.py", *config, "--resume")
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_the_tests_of_its_project_pass(project: Path) -> None:
    done = make(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr


def test_rows_are_of_its_own_format(project: Path) -> None:
    words = ["prepare_for_acme.py", "--input", SAMPLE, "--output", "training_data.jsonl"]
    assert python(project, *words).returncode == 0
    prepared = rows(project / "training_data.jsonl")
    assert {tuple(row) for row in prepared} == {("prompt", "answer", "tools")}
    assert all(row["answer"]["role"] == "assistant" for row in prepared)
    assert any(message["role"] == "tool" for row in prepared for message in row["prompt"])
    refused = python(project, *words, "--kind", "preference")
    assert refused.returncode == 2 and "Acme compares no answers" in refused.stderr


def test_a_typo_in_its_config_is_refused_by_its_trainer(project: Path) -> None:
    config = project / "smoke_config.yaml"
    config.write_text(config.read_text("utf-8").replace("learning_rate: 5.0e-3", "learning_rat: x"))
    done = python(project, "train_acme.py", "--data_path", "x", "--config", config.name)
    assert done.returncode == 2 and "did you mean learning_rate?" in done.stderr


def test_check_knows_its_keys_through_its_schema(tool: Tool, project: Path) -> None:
    config = project / "acme_config.yaml"
    lines = config.read_text("utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("learning_rate:"))
    lines[at] = "learning_rat: 1.0e-5"
    config.write_text("\n".join([*lines, "epochs: -1", ""]), "utf-8")
    done = tool("check", "p", "--json")
    assert done.returncode == 1
    assert "were not checked" not in done.stdout
    found = [
        (each["file"], each["line"], each["problem"], each["remedy"])
        for each in json.loads(done.stdout)["findings"]
        if each["file"] == config.name
    ]
    assert (
        config.name,
        at + 1,
        "learning_rat is no key of acme 1.0",
        "Did you mean learning_rate?",
    ) in found
    assert any(line == len(lines) + 1 and "epochs: -1" in said for _, line, said, _ in found)


def test_a_project_as_rendered_has_no_wrong_key(tool: Tool, project: Path) -> None:
    findings = json.loads(tool("check", "p", "--json").stdout)["findings"]
    files = {each["file"] for each in findings}
    assert not files & {"acme_config.yaml", "smoke_config.yaml"}, findings


def test_compare_judges_it_as_it_judges_ours(tool: Tool) -> None:
    report = json.loads(tool("compare", "--want", "amd", "--algorithm", "sft", "--json").stdout)
    assert sorted(each["name"] for each in report["frameworks"]) == sorted([*names(), "acme"])
    assert report["recommended"] == "acme" and report["frameworks"][0]["score"] == 2
    shown = tool("compare", "--want", "amd").stdout
    assert "+ amd: Acme runs on their GPUs too [1]" in shown and "Acme 1.0: 2 of 2" in shown
    assert "Acme 1.0" in tool("compare").stdout
    pairs = json.loads(tool("compare", "--algorithm", "dpo", "--json").stdout)["frameworks"]
    (acme,) = (each for each in pairs if each["name"] == "acme")
    assert not acme["feasible"] and "compares none" in acme["reasons"][0]["reason"]


def installed(program: Path, source: Path, version: str, folder: Path) -> dict[str, str]:
    """An environment that has a version of the package, released as its README says."""
    about = source / "pyproject.toml"
    text = re.sub(r'(?m)^version = ".*"', f'version = "{version}"', about.read_text("utf-8"))
    about.write_text(text, "utf-8")
    (release,) = re.findall(
        r"python -m (scaffolder.history .*)", (source / "README.md").read_text()
    )
    words = release.replace("1.0.0", version).split()
    interpreter = str(program.with_name("python"))
    done = run([interpreter, "-m", *words], source)
    assert done.returncode == 0, done.stderr
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    subprocess.run([*build, "--outdir", str(folder)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(wheel)], check=True)
    return {**os.environ, "PYTHONPATH": str(folder / "site")}


def test_a_newer_version_of_it_updates_its_projects(program: Path, tmp_path: Path) -> None:
    source = shutil.copytree(SOURCE, tmp_path / "acme")
    first = installed(program, source, "1.0.0", tmp_path / "first")
    made = run([str(program), "new", "p", "--json", *NEW], tmp_path, env=first)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "p"
    overlay = source / "rl_scaffolder_acme" / "overlay"
    (overlay / "acme_notes.md").write_text("New in 1.1.0\n")
    trainer = overlay / "train_acme.py"
    trainer.write_text(trainer.read_text("utf-8") + "\n# newer\n", "utf-8")
    second = installed(program, source, "1.1.0", tmp_path / "second")
    mine = project / "train_acme.py"
    mine.write_text("# mine\n" + mine.read_text("utf-8"), "utf-8")
    user = ("-c", "user.name=u", "-c", "user.email=u@u")
    assert run(["git", *user, "commit", "--quiet", "-am", "mine"], project).returncode == 0
    older = json.loads(run([str(program), "update", "p", "--json"], tmp_path, env=first).stdout)
    assert older["changes"] == []
    done = run([str(program), "update", "p", "--json"], tmp_path, env=second)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["before"].endswith("with 1.0.0") and said["after"].endswith("with 1.1.0")
    assert {each["path"]: each["becomes"] for each in said["changes"]} == {
        ".copier-answers.yml": "updated",
        "acme_notes.md": "new",
        "train_acme.py": "merged",
    }
    text = mine.read_text("utf-8")
    assert text.startswith("# mine\n") and text.endswith("# newer\n")
    assert run([str(program), "check", "p", "--json"], tmp_path, env=second).returncode in (0, 1)


def test_its_project_becomes_one_of_ours(tool: Tool, project: Path) -> None:
    done = tool("update", "p", "--framework", "custom", "--json")
    assert done.returncode == 0, done.stderr
    assert (project / "train_custom.py").is_file() and not (project / "train_acme.py").exists()
    assert "overlay_version" not in (project / ".copier-answers.yml").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        (["--gpus-per-node", "2"], ["trains on one GPU of one machine"]),
        (["--algorithm", "dpo"], ["compares none (algorithm can be: sft)"]),
        (
            ["--nodes", "2", "--tracker", "wandb", "--tuning", "lora"],
            ["one GPU of one machine", "tracker can be tensorboard or none", "tuning can be: full"],
        ),
    ],
    ids=["gpus", "algorithm", "several"],
)
def test_what_it_refuses_is_said_with_all_reasons(
    tool: Tool, words: list[str], reasons: list[str]
) -> None:
    done = tool("new", "p", "--yes", "--framework", "acme", "--algorithm", "sft", *words)
    assert done.returncode == 2
    assert all(reason in done.stderr for reason in reasons), done.stderr


def test_the_wizard_offers_it(program: Path, tmp_path: Path) -> None:
    size = {"encoding": "utf-8", "timeout": 30, "dimensions": (40, 120)}
    wizard = pexpect.spawn(str(program), ["new"], cwd=str(tmp_path), **size)
    up = "\x1b[A" * sorted([*names(), "acme"]).index("trl")
    talk(wizard, *NOT_THERE, ("Acme 1.0", up + ENTER), *enter(*SIZES, "loss curve", *LAST[:2]))
    talk(wizard, ("acme 1.0", ""), *enter(LAST[2]))
    wizard.expect("make smoke")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 0
    assert (tmp_path / "acme-sft" / "train_acme.py").is_file()


# --- facts that stand twice in the package ---


def module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"acme_{file.stem}", file)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def test_the_schema_has_the_keys_of_the_trainer() -> None:
    schema = SOURCE / "rl_scaffolder_acme" / "schema.json"
    keys = json.loads(schema.read_text("utf-8"))["classes"]["Settings"]["keys"]
    settings = fields(module(OVERLAY / "train_acme.py").Settings)
    defaults = {field.name: field.default for field in settings}
    assert {name: key.get("default", MISSING) for name, key in keys.items()} == defaults


def test_every_key_that_the_adapter_names_is_in_the_schema() -> None:
    adapter = module(SOURCE / "rl_scaffolder_acme" / "__init__.py").FRAMEWORK
    assert isinstance(adapter, Framework)
    keys, schema = adapter.keys("sft"), adapter.schema()
    assert schema
    named = {keys.model, keys.output, keys.tracker, keys.learning_rate, keys.epochs, *keys.lengths}
    assert named <= set(schema.keys("sft"))
