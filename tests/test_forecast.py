"""What is said of rollouts before there is a project is what the project's trainer then does."""

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny
from checked import put
from conftest import ROOT, Command, Result
from inside import CUSTOM, inside
from projects import curve, make, python, render
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import Training, shipped
from rl_rollouts.survey.forecast import foresee, training_of
from rollouts import many, read, write
from scaffolder import frameworks
from scaffolder import rollouts as looked_at
from scaffolder import spec as specs
from scaffolder.check import check
from scaffolder.forecast import Outlook, outlook
from scaffolder.frameworks import discover
from scripts import FILTER

SHOP = ROOT / "examples" / "rollouts" / "shop.jsonl"
KINDS = {"sft": "sft", "preference": "dpo", "unpaired": "kto", "prompts": "grpo"}
"""An algorithm for each."""


@pytest.fixture(scope="module", params=["samples", "generated"])
def rollouts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples, and rollouts of every fate, fewer than one in a hundred of which are damaged."""
    folder = tmp_path_factory.mktemp("rollouts")
    if request.param == "samples":
        return write(folder / "in.jsonl", *SHOP.read_bytes().splitlines())
    lines = [line for line in many(60) if not line.endswith(b"cut")]
    return write(folder / "in.jsonl", *lines, b"{cut")


@pytest.mark.parametrize("kind", KINDS)
def test_what_inspect_counts_is_what_is_prepared(rollouts: Path, kind: str) -> None:
    """Without a framework: the rows of each kind, before any are held out."""
    found = looked_at.inspect(str(rollouts)).summary
    uses, tasks = found["uses"], found["tasks"]
    least = "--min_reward 0.7" if kind == "sft" else ""
    options = f"--input out.jsonl --output rows.jsonl --kind {kind} --eval_share 0"
    for script, words in ((FILTER, f"--input in.jsonl {least}"), (CUSTOM, options)):
        done = inside(script, rollouts.parent, words)
        assert done.returncode == 0, done.stderr
    rows = read(rollouts.parent / "rows.jsonl")
    said = {
        "sft": uses["best"],
        "preference": uses["pairs"],
        "unpaired": uses["good"] + uses["bad"],
        "prompts": tasks["asked"],
    }
    assert len(rows) == said[kind] > 20
    if kind == "prompts":
        assert sum(bool(row["tools"]) for row in rows) == tasks["tools"]
        assert sum(row["ground_truth"] is not None for row in rows) == tasks["truths"]


@cache
def expected(path: Path, framework: str, algorithm: str, **answers: Any) -> Outlook:
    """What the tool says of a project of these choices."""
    named = {"project_name": "p", "framework": framework, "algorithm": algorithm}
    spec = specs.build({**named, "rollouts": str(path), **answers})
    return outlook(path, spec, frameworks.resolve(spec).plan(spec))


def taken(done: Result) -> tuple[int, int]:
    """Rows that a trainer's check takes, and its steps."""
    rows = re.findall(r"([\d,]+) to train on", done.stdout)  # the last, after those held out
    steps = re.search(r"^steps +([\d,]+) of", done.stdout, re.MULTILINE)
    assert rows and steps, done.stdout
    return int(rows[-1]), int(steps[1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("model"))


def on_a_cpu() -> list[Any]:
    """Every kind with every framework that trains on a CPU; all but one are long."""
    return [
        pytest.param(
            name,
            algorithm,
            id=f"{name}-{algorithm}",
            marks=[] if each.usual and algorithm == "grpo" else [pytest.mark.long],
        )
        for name, each in discover().items()
        if not each.smoke_gpus
        for algorithm in KINDS.values()
        if algorithm in each.algorithms
    ]


@pytest.mark.parametrize(("framework", "algorithm"), on_a_cpu())
def test_what_is_said_is_what_the_trainer_takes(
    tmp_path: Path, model: Path, framework: str, algorithm: str
) -> None:
    """Counted by the trainer's own check, over the rows that the project made."""
    answers: dict[str, Any] = {"model": str(model), "gpus_per_node": 2}
    if algorithm == "grpo":
        answers |= {"rows_with_tools": "drop", "global_batch_size": 64}
    said = expected(SHOP, framework, algorithm, **answers)
    words = [word for name, value in answers.items() for word in ("--set", f"{name}={value}")]
    chosen = ("--framework", framework, "--algorithm", algorithm, "--rollouts", str(SHOP))
    done = make(render(tmp_path, *chosen, *words), "check")
    assert done.returncode == 0, done.stderr
    assert not said.problem
    assert taken(done) == (said.trainer["kept"], said.trainer["steps"])
    steps = [line for line in said.lines if line.startswith("steps")]
    assert steps and set(steps) <= set(done.stdout.splitlines())
    if algorithm == "grpo":
        assert "35 with tools dropped" in done.stdout
        assert said.trainer["with_tools"] == 35 and said.trainer["rows"] == 53


QUICK = {
    "custom": ["--set", "dtype=float32", "--set", "max_new_tokens=8", "--set", "packing=false",
               "--set", "tracker=none", "--set", "save_steps=null"],
    "trl": ["--use_cpu", "True", "--bf16", "False", "--report_to", "none", "--use_vllm", "False",
            "--max_completion_length", "8", "--activation_checkpointing", "False"],
}  # fmt: skip


def with_qwen3_template(model: Path, copy: Path) -> Path:
    """TRL finds the calls in what is generated by the templates that it knows."""
    import trl

    shutil.copytree(model, copy)
    template = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
    (copy / "chat_template.jinja").write_bytes(template.read_bytes())
    return copy


@pytest.mark.long
@pytest.mark.parametrize(("framework", "algorithm"), on_a_cpu())
def test_so_many_steps_are_trained(
    tmp_path: Path, model: Path, framework: str, algorithm: str
) -> None:
    """Also with the samples' tools, where the framework has environments that run them."""
    answers: dict[str, Any] = {"model": str(model), "epochs": 2}
    if algorithm == "grpo":
        way = discover()[framework].rows_with_tools[-1]
        answers |= {"rows_with_tools": way, "num_generations": 4, "global_batch_size": 16}
        if way == "environment":
            answers["model"] = str(with_qwen3_template(model, tmp_path / "model"))
    said = expected(SHOP, framework, algorithm, **answers)
    words = [word for name, value in answers.items() for word in ("--set", f"{name}={value}")]
    chosen = ("--framework", framework, "--algorithm", algorithm, "--rollouts", str(SHOP))
    project = render(tmp_path, *chosen, *words)
    assert make(project, "prepare").returncode == 0
    quick = QUICK[framework] if algorithm == "grpo" or framework == "custom" else QUICK["trl"][:6]
    config = f"{framework}_config.yaml"
    start = (f"train_{framework}.py", "--data_path", "training_data.jsonl", "--config", config)
    done = python(project, *start, *quick)
    assert done.returncode == 0, done.stderr
    log = project / "outputs" / "p" / "log.jsonl"
    assert max(curve(log, "step")) == said.trainer["steps"]


def test_tools_stop_online_training_until_it_is_chosen_what_becomes_of_them() -> None:
    said = expected(SHOP, "trl", "grpo")
    assert said.problem == "35 of 53 prompts have tools, and are refused"
    assert "rows_with_tools=drop" in said.remedy and "rows_with_tools=environment" in said.remedy
    shown = expected(SHOP, "trl", "grpo", rows_with_tools="environment")
    assert not shown.problem and shown.trainer["kept"] == 53
    assert "53 to train on" in shown.lines[0] and "35 with tools shown" in shown.lines[0]


def test_where_preparing_stops_the_reason_is_said(tmp_path: Path) -> None:
    damaged = write(tmp_path / "in.jsonl", *many(10), *[b"{cut"] * 20)
    said = expected(damaged, "custom", "sft")
    assert "lines are no rollouts" in said.problem and "--max_bad_share" in said.remedy
    assert not said.lines


Project = Callable[..., Path]


@pytest.fixture(scope="module")
def grpo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with prepared rows of the samples."""
    folder = tmp_path_factory.mktemp("check")
    words = ("--framework", "trl", "--algorithm", "grpo", "--rollouts", str(SHOP))
    project = render(folder, *words, "--set", "global_batch_size=64")
    assert make(project, "prepare").returncode == 0
    return project


def about_rows(project: Path) -> tuple[str, str]:
    (found,) = [each for each in check(project) if "prompts" in each.problem]
    return found.weight, found.problem


def test_check_says_what_becomes_of_prepared_rows(grpo: Path) -> None:
    config = grpo / "trl_config.yaml"
    before = config.read_text("utf-8")
    assert about_rows(grpo) == ("error", "35 of 53 prompts have tools, and are refused")
    put(config, "rows_with_tools", "drop")
    weight, problem = about_rows(grpo)
    assert weight == "note" and "18 to train on" in problem and "steps: 2 of 8 prompts" in problem
    put(config, "per_device_train_batch_size", "512")
    weight, problem = about_rows(grpo)
    assert weight == "error" and "there are 18 prompts, and a step takes" in problem
    config.write_text(before, "utf-8")


def test_check_reads_rollouts_where_there_are_no_rows_yet(grpo: Path) -> None:
    (grpo / "training_data.jsonl").rename(grpo / "aside.jsonl")
    try:
        put(grpo / "trl_config.yaml", "rows_with_tools", "drop")
        weight, problem = about_rows(grpo)
        assert weight == "note" and "18 to train on" in problem
    finally:
        (grpo / "aside.jsonl").rename(grpo / "training_data.jsonl")


def test_damaged_rows_are_said_and_no_traceback(grpo: Path) -> None:
    data = grpo / "training_data.jsonl"
    before = data.read_bytes()
    data.write_bytes(b"[1]\n{cut\n")
    found = [each for each in check(grpo) if "holds no rows" in each.problem]
    assert [each.weight for each in found] == ["error"]
    data.write_bytes(before)


@pytest.mark.parametrize(
    ("fill", "updates", "rows", "steps"),
    [
        ("short", 1, 10, 6),
        ("short", 1, 8, 4),
        ("next", 1, 10, 5),
        ("none", 1, 10, 4),
        ("none", 1, 3, 0),
        ("none", 2, 9, 8),
    ],
)
def test_steps_of_two_epochs(fill: Any, updates: float, rows: int, steps: int) -> None:
    """Four rows a step: what fills none is a shorter step, goes on, or is left out."""
    run = Training("x", 4, epochs=2, fill=fill, updates=updates)
    assert run.steps(rows) == steps
    assert run._replace(max_steps=7).steps(rows) == (7 if steps else 0), "no step is ever full"
    assert run._replace(packed=True).steps(rows) is None


def test_the_report_says_it_too(grpo: Path) -> None:
    words = (
        "--rollouts", str(SHOP), "--data", "training_data.jsonl", "--config", "trl_config.yaml",
        "--manifests", "filtered.manifest.json", "training_data.manifest.json",
        "--output", "report.html",
    )  # fmt: skip
    put(grpo / "trl_config.yaml", "rows_with_tools", "refuse")
    done = python(grpo, "-m", "rl_rollouts.report", *words)
    assert done.returncode == 0, done.stderr
    assert "Training would stop: 35 of 53 prompts have tools, and are refused." in done.stdout
    html = (grpo / "report.html").read_text("utf-8")
    for words_, parts in bars(html).items():
        assert abs(sum(parts) - 100) <= 1, words_
    assert "Rows: training rows 53 (23%); held-out rows 7 (3%); not chosen 173 (74%)" in html


def bars(html: str) -> dict[str, list[int]]:
    """The parts of each divided bar, in hundredths of it."""
    titles = re.findall(r'<svg class="share".*?<title>(.*?)</title>', html)
    return {each: [round(float(p)) for p in re.findall(r"\(([\d.]+)%\)", each)] for each in titles}


def test_json_has_all_of_it() -> None:
    said = json.loads(json.dumps(expected(SHOP, "trl", "grpo").as_json()))
    assert said["read"] == 240 and said["left_out"]["truncated at the token limit"] == 6
    assert said["trainer"]["with_tools"] == 35 and said["problem"]


def test_new_warns_of_tools_where_nobody_is_asked(tmp_path: Path, scaffold: Command) -> None:
    words = ("--framework", "trl", "--algorithm", "grpo", "--rollouts", str(SHOP), "--yes")
    said = " ".join(scaffold("new", "p", *words, "--dry-run").stdout.split())
    assert "40 prompts have tools, and training will refuse them" in said
    drop = (*words, "--dry-run", "--set", "rows_with_tools=drop")
    chosen = " ".join(scaffold("new", "p", *drop).stdout.split())
    assert "prompts have tools" not in chosen
    assert "there are 20 prompts at most, and a step takes 32" in chosen
    enough = scaffold("new", "p", *drop, "--set", "global_batch_size=64").stdout
    assert "prompts at most" not in " ".join(enough.split())
    custom = ("--framework", "custom", *words[2:], "--set", "rows_with_tools=environment")
    done = scaffold("new", "p", *custom)
    assert done.returncode == 2 and "rows_with_tools can be: refuse, drop" in done.stderr


ODD: tuple[Any, ...] = (
    "eight", "33", True, [1], {"a": 1}, None, -1, 0, 0.5, 10**400, float("inf"), float("nan"),
)  # fmt: skip


@pytest.mark.parametrize("name", ["trl-sft", "custom-sft", "verl-grpo", "openrlhf-grpo"])
def test_whatever_stands_in_a_config_is_calculated_with_or_refused(name: str) -> None:
    framework = name.partition("-")[0]
    file = ROOT / "examples" / "projects" / name / f"{framework}_config.yaml"
    config = yaml.safe_load(file.read_text("utf-8"))
    module = shipped()[framework]
    keys = ("max_steps", "trainer.total_training_steps", "num_generations", *leaves(config))
    for key in keys:
        for odd in ODD:
            try:
                run = training_of(module, {**config, key: odd}, file.parent)
                lines = [*foresee(framework, run, 100, 0).lines()]
            except UserError as error:
                assert key in error.problem, "the key is named"
            else:
                assert len(lines) == 2


def leaves(config: dict[str, Any], above: str = "") -> list[str]:
    """The keys of values, with dots."""
    found = []
    for key, value in config.items():
        found += leaves(value, f"{above}{key}.") if isinstance(value, dict) else [above + key]
    return found


def test_a_check_counts_the_processes_that_are_planned(tmp_path: Path, model: Path) -> None:
    """It is one itself, and TRL calculates with that."""
    words = ["--framework", "trl", "--algorithm", "grpo", "--gpus-per-node", "2"]
    words += ["--model", str(model), "--set", "rows_with_tools=drop"]
    project = render(tmp_path, *words, "--set", "global_batch_size=16")
    prepare = ("prepare_for_trl.py", "--input", str(SHOP), "--output", "training_data.jsonl")
    assert python(project, *prepare).returncode == 0
    check = ("train_trl.py", "--config", "trl_config.yaml", "--check_only")
    for more, steps in (
        ((), "9 of 2 prompts x 8 responses = 16 responses"),
        (("--generation_batch_size", "32"), "8 of 4 prompts x 8 responses = 32 responses"),
        (("--steps_per_generation=4",), "8 of 8 prompts x 8 responses = 64 responses"),
    ):
        assert f"steps    {steps}" in python(project, *check, *more).stdout
