"""`rl-scaffolder check` on what is gone, unfinished, misnamed, or far from what anybody does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from checked import CUSTOM, TRL, VERL, Copy, change, heavy, only, projects, put
from contracts.mutations import LEGAL, lines_of
from contracts.mutations import put as put_line
from scaffolder import frameworks
from scaffolder.check import check
from scaffolder.errors import DamagedAnswers

CONFIGS = {"trl": TRL, "custom": CUSTOM, "verl": VERL}
ALL = sorted(CONFIGS)
MARKED = "<<<<<<< ours\n{0}\n=======\n{0}\n>>>>>>> theirs\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return projects(tmp_path, monkeypatch)


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=u", "-c", "user.email=u@u", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)


def committed(folder: Path) -> Path:
    for words in (("init", "-q"), ("add", "--all"), ("commit", "-qm", "all")):
        git(folder, *words)
    return folder


@pytest.mark.parametrize("framework", ALL)
def test_a_file_that_something_names_is_missed(project: Copy, framework: str) -> None:
    """Each one that `make`, a launch script or other code of the project needs."""
    whole = project(framework, "grpo")
    needed = [path.name for path in whole.glob("*.py")]
    needed = [name for name in needed if name not in {"my_trainer.py", "environment.py"}]
    needed += ["Makefile", "pyproject.toml", "smoke_config.yaml", f"{framework}_config.yaml"]
    needed += ["launch/local.sh", "tests/sample_rollouts.jsonl"]
    for name in needed:
        kept = (whole / name).read_bytes()
        (whole / name).unlink()
        found = [each for each in heavy(whole) if each.weight == "error"]
        assert found and all(Path(name).stem in str(each) for each in found), (name, found)
        (whole / name).write_bytes(kept)
    assert heavy(whole) == []


def test_what_git_has_and_nothing_names_is_a_warning_until_it_is_removed(project: Copy) -> None:
    folder = committed(project("custom", "sft"))
    (folder / "README.md").unlink()
    (folder / "my_trainer.py").unlink()
    assert {(each.weight, each.file) for each in heavy(folder)} == {
        ("warning", "README.md"),
        ("warning", "my_trainer.py"),
    }
    git(folder, "rm", "-q", "README.md", "my_trainer.py")
    assert heavy(folder) == [], "its owner does without them"


@pytest.mark.parametrize("framework", ALL)
@pytest.mark.parametrize(
    "name", ["{}_config.yaml", "smoke_config.yaml", "rewards.py", "Makefile", "launch/local.sh"]
)
def test_a_merge_that_is_not_finished(project: Copy, framework: str, name: str) -> None:
    folder = project(framework, "grpo")
    file = folder / name.format(framework)
    lines = file.read_text("utf-8").splitlines(keepends=True)
    place = len(lines) // 2
    lines.insert(place, MARKED.format(lines[place].strip("\n")))
    file.write_text("".join(lines), "utf-8")
    found = [each for each in heavy(folder) if "merge is not finished" in each.problem]
    assert [(each.weight, each.line) for each in found] == [("error", place + 1)]


def test_answers_in_conflict_are_said_to_be_that(project: Copy) -> None:
    folder = project("trl", "sft")
    file = folder / ".copier-answers.yml"
    file.write_text(MARKED.format("nodes: 1") + file.read_text("utf-8"), "utf-8")
    with pytest.raises(DamagedAnswers, match="a merge is not finished"):
        check(folder)


def test_a_file_of_which_git_has_both_sides_and_no_marks(project: Copy) -> None:
    """One side removed it, the other changed it: what lies there is one of the two."""
    folder = committed(project("trl", "sft"))
    git(folder, "checkout", "-qb", "other")
    change(folder / "export.py", '"""', '"""Mine. ')
    git(folder, "commit", "-qam", "mine")
    git(folder, "checkout", "-q", "main")
    git(folder, "rm", "-q", "export.py")
    git(folder, "commit", "-qm", "theirs")
    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "merge", "-q", "other")
    found = only(folder)
    assert (found.weight, found.file) == ("error", "export.py")
    assert "both sides" in found.problem


@pytest.mark.parametrize("framework", ALL)
@pytest.mark.parametrize("algorithm", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def scoer(prompt, response, ground_truth, metadata):\n    return 1.0", "has no score"),
        ("def score(prompt, response, ground_truth):\n    return 1.0", "not take 4 arguments"),
        ("def score(prompt, response, *, truth, about):\n    return 1.0", "not take 4 arguments"),
        ("def score(response, prompt, ground_truth, metadata):\n    return 1.0", "another order"),
        ("async def score(prompt, response, truth, about):\n    return 1.0", "is async"),
        ("def score(prompt, response, truth, about):\n    print(1)", "returns nothing"),
        ("def score(prompt, response, truth, about:\n    return 1.0", "is no Python"),
        (None, "there is no rewards.py"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_reward_that_cannot_be_called(
    project: Copy, framework: str, algorithm: str, code: str | None, problem: str
) -> None:
    folder = project(framework, algorithm)
    (folder / "rewards.py").unlink()
    if code:
        (folder / "rewards.py").write_text(code + "\n")
    assert problem in only(folder).problem


@pytest.mark.parametrize("framework", ALL)
def test_a_reward_that_is_misnamed(project: Copy, framework: str) -> None:
    folder = project(framework, "grpo")
    line = change(folder / CONFIGS[framework], "rewards:score", "rewards:scoer")
    found = only(folder)
    assert found.line == line and "did you mean score?" in found.problem


def test_the_reward_is_called_by_the_python_of_the_project(project: Copy) -> None:
    folder = project("trl", "grpo")
    shutil.copy(folder / "tests/sample_rollouts.jsonl", folder / "rollouts.jsonl")
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    runtime = Path(__file__).parents[1] / "runtime"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{runtime}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    said = [each for each in heavy(folder) if each.file == "rewards.py"]
    assert said == []
    rewards = folder / "rewards.py"
    rewards.write_text("def score(prompt, response, truth, about):\n    return about['nothing']\n")
    (found,) = [each for each in heavy(folder) if each.file == "rewards.py"]
    assert found.weight == "error" and "KeyError: 'nothing'" in found.problem
    rewards.write_text(
        "import nowhere\n\ndef score(prompt, response, truth, about):\n    return 1\n"
    )
    (found,) = [each for each in heavy(folder) if each.file == "rewards.py"]
    assert "cannot be imported" in found.problem


@pytest.mark.parametrize("framework", ALL)
def test_a_reward_that_is_not_named_is_that_of_rewards_py(project: Copy, framework: str) -> None:
    folder = project(framework, "grpo")
    file = folder / CONFIGS[framework]
    kept = [each for each in file.read_text("utf-8").splitlines() if "rewards:score" not in each]
    file.write_text("\n".join(kept).replace("    reward_kwargs:\n", ""), "utf-8")
    assert heavy(folder) == []
    (folder / "rewards.py").unlink()
    assert "there is no rewards.py" in only(folder).problem


FAR = {"learning_rate": 1.0, "kl_coefficient": 50.0, "max_grad_norm": 1000.0, "weight_decay": 5.0}


@pytest.mark.parametrize("framework", ALL)
@pytest.mark.parametrize("algorithm", ["sft", "dpo", "grpo", "ppo"])
@pytest.mark.parametrize("meaning", FAR)
def test_a_value_far_outside_what_is_usual_is_a_warning_with_the_range(
    project: Copy, framework: str, algorithm: str, meaning: str
) -> None:
    if algorithm not in frameworks.get(framework).algorithms:
        algorithm = "grpo"
    folder = project(framework, algorithm)
    (path,) = written(folder, meaning, FAR[meaning])
    if path is None:
        return
    (found,) = [each for each in heavy(folder) if "far outside" in each.problem]
    assert found.weight == "warning" and path in found.problem
    assert f"usual for {algorithm} (full)" in found.problem and " to " in found.remedy


def written(folder: Path, meaning: str, value: float) -> list[str | None]:
    """Write a value by what it means; the key, or None where the framework has none for it."""
    from scaffolder import project as projects_
    from scaffolder.yaml_lines import write

    subject = projects_.load(folder)
    meanings = frameworks.get(subject.spec.framework).meanings(subject.spec, subject.plan)
    if meaning not in meanings:
        return [None]
    (key,) = meanings[meaning].keys
    write(folder / subject.config.file, subject.config.entries, key, value)
    return [key]


@pytest.mark.parametrize("framework", ALL)
def test_the_rate_of_a_scaffolded_project_is_usual_and_ten_times_it_for_adapters(
    project: Copy, framework: str
) -> None:
    for algorithm in frameworks.get(framework).algorithms:
        folder = project(framework, algorithm)
        assert heavy(folder) == []
        shutil.rmtree(folder)


@pytest.mark.parametrize("framework", ALL)
def test_harmless_values_are_no_word(project: Copy, framework: str) -> None:
    folder = project(framework, "grpo")
    file = folder / CONFIGS[framework]
    text = file.read_text("utf-8")
    for number, found in lines_of(text):
        if found["key"] in LEGAL:
            line = f"{found['pad']}{found['key']}: {LEGAL[found['key']]}"
            file.write_text(put_line(text, number, line), "utf-8")
            said = [each for each in heavy(folder) if "planned" not in each.problem]
            assert said == [], (line, said)


def test_prompt_and_response_longer_than_the_engine(project: Copy) -> None:
    folder = project("trl", "grpo")
    put(folder / TRL, "max_completion_length", "2048")
    found = only(folder)
    assert (found.weight, "the engine takes 4096 tokens" in found.problem) == ("error", True)
    put(folder / TRL, "vllm_max_model_length", "5120")
    assert heavy(folder) == []


@pytest.mark.parametrize(
    ("framework", "key"), [("trl", "max_prompt_length"), ("custom", "max_length")]
)
def test_rows_longer_than_the_server_takes(project: Copy, framework: str, key: str) -> None:
    folder = project(framework, "grpo", "vllm_server")
    put(folder / CONFIGS[framework], key, "8192")
    found = only(folder)
    assert found.file == "launch/server.sh" and "the server takes 4096 tokens" in found.problem


def test_verl_with_one_response_to_a_prompt(project: Copy) -> None:
    folder = project("verl", "grpo")
    change(folder / VERL, "    n: 8", "    n: 1")
    assert "compares the responses" in heavy(folder)[0].problem
    change(folder / VERL, "    n: 1", "    # gone")
    assert "compares the responses" in heavy(folder)[0].problem, "verl's default is 1"


def test_a_project_is_looked_at_in_a_moment(project: Copy) -> None:
    import time

    folder = committed(project("verl", "grpo"))
    check(folder)
    begun = time.process_time()
    check(folder)
    assert time.process_time() - begun < 0.6
