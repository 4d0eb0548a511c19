"""What it takes to add a framework: an adapter and an overlay of a few lines each."""

import json
import os
import sys
from pathlib import Path

import pexpect
import pytest
import yaml

import warm
from conftest import TOOL, Result, run
from scaffolder.frameworks import GROUP, names
from test_wizard import LAST, NOT_THERE, enter, talk

ADAPTER = """
from pathlib import Path

from scaffolder.frameworks import Framework
from scaffolder.memory import TrainingCost
from scaffolder.plan import ConfigKeys
from scaffolder.planning import data_parallel_plan
from scaffolder.project import Finding

def check(project):
    if project.config.get("steps", 1) < 1:
        yield project.config.finding("error", "steps", "tiny needs a step", "Set steps to 1.")

class Tiny(Framework):
    name, title, version, homepage = "tiny", "Tiny", "1.0", "https://tiny.example"
    requirements, algorithms = ("tiny==1.0",), ("grpo", "sft")
    topologies, patterns, generations = ("local",), ("direct",), ("vllm_colocate",)
    checks, overlay = (check,), Path(__file__).parent / "overlay"

    def keys(self, algorithm):
        return ConfigKeys(model="model.path", output="run")

    def plan(self, spec):
        trainer = self.trainer(spec.algorithm, TrainingCost(4, 4, 8), 1e-6)
        return data_parallel_plan(spec, trainer).model_copy(update={"ray": True, "ray_cpus": 5})

FRAMEWORK = Tiny()
"""
OVERLAY = {
    "tiny_config.yaml.jinja": (
        "model:\n  path: {{ model | to_json }}\nrun: outputs/{{ project_name }}\nsteps: 1\n"
        '{% include "{{tiny}}/_partials/" ~ algorithm ~ ".yaml.jinja" %}\n'
    ),
    "smoke_config.yaml.jinja": "model:\n  path: smoke/model\nrun: smoke/run\n",
    "train_tiny.py": 'print("trained")\n',
    "_partials/grpo.yaml.jinja": "group: {{ num_generations }}\n",
    "_partials/sft.yaml.jinja": "group: 1\n",
    "_partials/readme.md.jinja": "## Training with Tiny\n\n{{ nodes }} machine(s).\n\n",
}
ONLINE = ("--framework", "tiny", "--algorithm", "grpo", "--nodes", "2", "--gpus-per-node", "4")
MODEL = ("--model", "org/m-1b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where pip would have put the package; the tests stand beside it."""
    site = tmp_path / "site"
    write(site, {"tiny_package.py": ADAPTER})
    write(site / "overlay", OVERLAY)
    about = "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n"
    entry = f"[{GROUP}]\ntiny = tiny_package:FRAMEWORK\n"
    info = {"METADATA": about, "entry_points.txt": entry}
    write(site / "tiny_package-1.0.dist-info", info)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def environment(folder: Path) -> dict[str, str]:
    paths = [str(folder / "site"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def tool(folder: Path, *words: str) -> Result:
    return run([warm.python(*TOOL), "-m", "scaffolder", *words], folder, env=environment(folder))


@pytest.fixture
def project(folder: Path) -> Path:
    done = tool(folder, "new", "p", "--yes", *ONLINE, *MODEL)
    assert done.returncode == 0, done.stderr
    return folder / "p"


def test_adapter_and_overlay_are_small() -> None:
    logic = [line for line in ADAPTER.splitlines() if line and "import" not in line]
    assert len(logic) <= 20 and len("".join(OVERLAY.values()).splitlines()) <= 20


def test_online_training_on_two_machines_with_ray(project: Path) -> None:
    script = (project / "launch" / "local.sh").read_text("utf-8")
    assert "ray.scripts.scripts" in script and "cpus=5" in script and "train_tiny.py" in script
    assert run(["bash", "-n", "launch/local.sh"], project).returncode == 0
    config = yaml.safe_load((project / "tiny_config.yaml").read_text("utf-8"))
    assert config == {"model": {"path": "org/m-1b"}, "run": "outputs/p", "steps": 1, "group": 8}
    plan = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))["plan"]
    assert (plan["dataset_kind"], plan["world_size"]) == ("prompts", 8)
    assert not list(project.rglob("*_partials*"))


def test_the_readme_has_its_part_and_its_keys(project: Path) -> None:
    readme = (project / "README.md").read_text("utf-8")
    assert "## Training with Tiny\n\n2 machine(s).\n" in readme
    assert "| model | `model.path` |" in readme and "choose another `run`" in readme
    assert "| learning rate | see `tiny_config.yaml` |" in readme


def test_its_own_checks_and_those_of_all_look_at_it(folder: Path, project: Path) -> None:
    config = project / "tiny_config.yaml"
    config.write_text(config.read_text("utf-8").replace("steps: 1", "steps: 0"), "utf-8")
    (project / "outputs" / "p" / "checkpoint-3").mkdir(parents=True)
    findings = json.loads(tool(folder, "check", "p", "--json").stdout)["findings"]
    found = {each["problem"]: (each["file"], each["line"], each["remedy"]) for each in findings}
    assert found["tiny needs a step"] == ("tiny_config.yaml", 4, "Set steps to 1.")
    begun = found["outputs/p holds a run that was begun"]
    assert begun == ("tiny_config.yaml", 3, "Go on with --resume, or choose another run.")


def test_compare_and_refusals_know_it(folder: Path) -> None:
    report = json.loads(tool(folder, "compare", "--algorithm", "grpo", "--json").stdout)
    by_name = {each["name"]: each for each in report["frameworks"]}
    assert sorted(by_name) == sorted([*names(), "tiny"]) and by_name["tiny"]["feasible"]
    refused = tool(folder, "new", "p", "--yes", "--framework", "tiny", "--algorithm", "dpo")
    assert refused.returncode == 2 and "dpo is offered by custom, openrlhf, trl." in refused.stderr


def test_update_takes_it_over_and_away(folder: Path, project: Path) -> None:
    done = tool(folder, "update", "p", "--algorithm", "sft", "--json")
    assert done.returncode == 0, done.stderr
    assert "group: 1" in (project / "tiny_config.yaml").read_text("utf-8")
    commit = ["git", "-c", "user.name=u", "-c", "user.email=u@u", "commit", "-qam", "sft"]
    assert run(commit, project).returncode == 0
    away = tool(folder, "update", "p", "--framework", names()[0], "--json")
    assert away.returncode == 0, away.stderr
    assert not (project / "train_tiny.py").exists()
    assert "Training with Tiny" not in (project / "README.md").read_text("utf-8")


def test_the_wizard_asks_for_what_it_offers(folder: Path) -> None:
    words = ["-m", "scaffolder", "new", "p", *ONLINE[:2], *MODEL, "--tracker", "none"]
    wizard = pexpect.spawn(
        sys.executable,
        words,
        cwd=str(folder),
        env=environment(folder),
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 120),
    )
    sizes = ("How many machines", "How many GPUs", "How much memory")
    talk(wizard, *NOT_THERE, *enter("Which algorithm", *sizes, *LAST[1:]))
    wizard.expect("make smoke")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 0
    assert (folder / "p" / "train_tiny.py").is_file()
