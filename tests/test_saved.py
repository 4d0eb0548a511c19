"""Answers of a project that somebody has damaged: it is said which, and what to do."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Command
from projects import render
from rl_rollouts.config import read_lines
from scaffolder import answers, frameworks, saved
from scaffolder import update as updates
from scaffolder.errors import DamagedAnswers, UserError
from scaffolder.plan import Plan
from test_new import git
from test_update import becomes, commit

GONE = object()
WRONG: list[Any] = [GONE, None, [], {}, "x", -1, 1e99, True, [[1]], {"a": 1}, "x" * 5_000]
Path_ = tuple[str | int, ...]


@pytest.fixture(scope="module", params=["trl-grpo", "custom-sft", "verl-grpo"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    framework, algorithm = request.param.split("-")
    words = ("--framework", framework, "--algorithm", algorithm, "--gpus-per-node", "2")
    return render(tmp_path_factory.mktemp("rendered"), *words)


@pytest.fixture
def whole(project: Path) -> Iterator[dict[str, Any]]:
    """The answers, which a test may write over."""
    file = project / saved.ANSWERS
    text = file.read_text("utf-8")
    yield yaml.safe_load(text)
    file.write_text(text)


def places(value: Any, place: Path_ = ()) -> Iterator[Path_]:
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(
        value, list) else ()  # fmt: skip
    for name, each in inner:
        yield from places(each, (*place, name))


def damaged(whole: dict[str, Any], place: Path_, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(whole)
    inside: Any = found
    for name in place[:-1]:
        inside = inside[name]
    if value is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return found


def test_each_of_some_hundred_damages_is_named_or_does_no_harm(
    project: Path, whole: dict[str, Any]
) -> None:
    """Answers and the plan, each left out or of another type: refused, or planned again."""
    tried = [(place, value) for place in places(whole) for value in WRONG]
    refused = 0
    for place, value in random.Random(0).sample(tried, 120):
        written = yaml.safe_dump(damaged(whole, place, value))
        (project / saved.ANSWERS).write_text(written, "utf-8")
        try:
            before = saved.read(project)
            spec = answers.spec(project, {}, before.spec.model_dump())
            frameworks.resolve(spec).plan(spec)
        except UserError as error:
            refused += 1
            assert error.exit_code == 2 and error.remedy
            named = [name for name in place if isinstance(name, str)][-1]
            assert named in str(error) and len(str(error)) < 2000, (place, value)
        else:
            assert set(before.choices["plan"]) >= set(Plan.model_fields)
    assert refused > 40


def test_what_only_templates_read_is_named_too(project: Path, whole: dict[str, Any]) -> None:
    """Values of `plan.settings` have no model: a rendering that fails says which they are."""
    written = damaged(whole, ("plan", "settings"), {})
    (project / saved.ANSWERS).write_text(yaml.safe_dump(written), "utf-8")
    commit(project)
    before = saved.read(project)
    spec = answers.spec(project, {}, before.spec.model_dump())
    with pytest.raises(DamagedAnswers) as refused:
        updates.update(before, spec, frameworks.resolve(spec).plan(spec), dry_run=True)
    for name in whole["plan"]["settings"]:
        assert f"plan.settings.{name}: is missing" in str(refused.value)


def test_answers_that_are_newer_than_a_project_take_their_default(
    scaffold: Command, tmp_path: Path
) -> None:
    words = ("--framework", "trl", "--algorithm", "sft", "--gpus-per-node", "2")
    project = render(tmp_path, *words)
    file = project / saved.ANSWERS
    newer = {"tuning", "epochs", "num_generations"}
    whole = yaml.safe_load(file.read_text("utf-8"))
    older = {name: value for name, value in whole.items() if name not in newer}
    older["plan"] = {name: whole["plan"][name] for name in whole["plan"] if name != "ray"}
    file.write_text(yaml.safe_dump(older), "utf-8")
    commit(project)
    done = scaffold("update", "--json", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load(file.read_text("utf-8")) == whole
    assert git(project, "ls-files", "--unmerged") == ""


def test_answers_are_never_in_conflict(scaffold: Command, tmp_path: Path) -> None:
    """What the owner wrote into the file is what is planned with; half of two plans is none."""
    project = render(tmp_path, "--framework", "trl", "--algorithm", "sft", "--gpus-per-node", "2")
    file = project / saved.ANSWERS
    text = file.read_text("utf-8").replace("gpus_per_node: 2", "gpus_per_node: 4")
    file.write_text(text.replace("global_batch_size: 32", "global_batch_size: 64"), "utf-8")
    commit(project)
    done = scaffold("update", "--set", "sequence_length=8192", "--json", cwd=project)
    assert done.returncode in {0, 3} and becomes(done)[saved.ANSWERS] != "conflict", done.stderr
    now = saved.read(project)
    assert (now.spec.gpus_per_node, now.spec.sequence_length, now.plan.world_size) == (4, 8192, 4)
    assert now.plan == frameworks.resolve(now.spec).plan(now.spec)


@pytest.mark.parametrize("command", ["check", "update"])
def test_commands_say_what_is_wrong_and_what_to_do(
    scaffold: Command, project: Path, whole: dict[str, Any], command: str
) -> None:
    broken = damaged(damaged(whole, ("nodes",), "many"), ("plan", "world_size"), GONE)
    (project / saved.ANSWERS).write_text(yaml.safe_dump(broken), "utf-8")
    done = scaffold(command, cwd=project)
    assert done.returncode == 2
    for said in ("nodes = 'many'", "plan.world_size: is missing", "back from git"):
        assert said in done.stderr, done.stderr


@pytest.mark.parametrize(
    "text",
    ["a: !!timestamp x", "a: !!bool x", "a: !!int x", "a: &b [*b]", "a: &b {c: *b}", "? [a]"],
)
def test_yaml_that_means_nothing_has_a_reason(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yml").write_text(f"{text}\n")
    lines = read_lines(tmp_path / "x.yml")
    assert lines.problem or lines.entries
