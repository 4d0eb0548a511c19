"""`rl-scaffolder new`: a whole project or nothing."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT, Command, run

TRL = ("--framework", "trl", "--algorithm", "sft")
New = Callable[..., Path]


def tree(folder: Path) -> dict[str, bytes]:
    """Files and contents, but for git's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def git(where: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=where, capture_output=True, text=True, check=True
    ).stdout


def test_json_report_is_what_was_written(scaffold: Command, tmp_path: Path) -> None:
    result = scaffold(
        *("new", "p", "--framework", "trl", "--algorithm", "dpo", "--topology", "local"),
        *("--gpus-per-node", "1", "--yes", "--json"),
    )
    report = json.loads(result.stdout)
    assert set(report) == {"path", "files", "answers", "plan"}
    assert report["path"] == str(tmp_path / "p")
    assert report["files"] == sorted(tree(tmp_path / "p"))
    saved = yaml.safe_load((tmp_path / "p" / ".copier-answers.yml").read_text("utf-8"))
    assert saved["plan"] == report["plan"]
    assert {name: saved[name] for name in report["answers"]} == report["answers"]


def test_answers_name_no_folder_of_this_machine(new: New) -> None:
    saved = (new("p", *TRL) / ".copier-answers.yml").read_text("utf-8")
    assert "_src_path: https://rl-scaffolder.invalid/templates.git\n" in saved
    assert "_commit: v" in saved
    assert str(ROOT) not in saved


def test_it_is_a_repository_with_one_commit(new: New) -> None:
    project = new("p", *TRL)
    assert len(git(project, "log", "--oneline").splitlines()) == 1
    assert git(project, "status", "--porcelain") == ""


def test_no_repository_inside_a_repository_or_when_not_wanted(new: New, tmp_path: Path) -> None:
    assert not (new("plain", *TRL, "--no-git") / ".git").exists()
    git(tmp_path, "init")
    assert not (new("inner", *TRL) / ".git").exists()


def test_commit_without_an_identity(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    environment.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="user.useConfigOnly")
    environment.update(GIT_CONFIG_VALUE_0="true", GIT_CONFIG_GLOBAL=os.devnull)
    command = [sys.executable, "-m", "scaffolder", "new", "p", "--yes", *TRL]
    result = run(command, tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    assert git(tmp_path / "p", "log", "--format=%an") == "rl-scaffolder\n"


def test_dry_run_lists_the_files_and_writes_nothing(scaffold: Command, tmp_path: Path) -> None:
    planned = json.loads(scaffold("new", "p", *TRL, "--dry-run", "--json").stdout)
    assert list(tmp_path.iterdir()) == []
    shown = scaffold("new", "p", *TRL, "--dry-run").stdout
    assert all(file in shown for file in planned["files"])
    written = json.loads(scaffold("new", "p", *TRL, "--json").stdout)
    assert planned == written


@pytest.mark.parametrize("occupant", ["file in it", "is a file", "is a dangling link"])
def test_an_occupied_directory_is_refused(scaffold: Command, tmp_path: Path, occupant: str) -> None:
    target = tmp_path / "p"
    if occupant == "file in it":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif occupant == "is a file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    left = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))]
    result = scaffold("new", "p", *TRL)
    assert result.returncode == 2
    assert "not an empty directory" in result.stderr
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == left


def test_an_empty_directory_is_filled(scaffold: Command, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    assert scaffold("new", ".", *TRL, cwd=tmp_path / "p").returncode == 0
    assert (tmp_path / "p" / "train_trl.py").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_no_permission_is_no_traceback(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    result = run([sys.executable, "-m", "scaffolder", "new", "file/p", *TRL], tmp_path)
    assert result.returncode == 2
    assert "Cannot write" in result.stderr and "Traceback" not in result.stderr


def test_without_git_the_error_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scaffolder", "new", "p", *TRL]
    result = run(command, tmp_path, env={**os.environ, "PATH": str(tmp_path)})
    assert result.returncode == 2
    assert "git is not installed" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_answers_of_a_project_make_the_same_project(new: New) -> None:
    first = new("p", *TRL, "--gpus-per-node", "4", "--model", "some/model-7b", "--set", "epochs=3")
    answers = first / ".copier-answers.yml"
    second = new("q", "--answers", str(answers))
    assert tree(first) == tree(second)


def test_flags_win_over_set_and_that_over_the_file(new: New, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("framework: trl\nalgorithm: sft\nmodel: file\ntracker: none\n")
    project = new(
        "p", "--answers", "a.yml", "--set", "model=set", "--set", "tracker=wandb", "--model", "flag"
    )
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert (saved["model"], saved["tracker"]) == ("flag", "wandb")


HOSTILE = [
    'it\'s "quoted"',
    "$(touch x) `touch x` ${HOME} $HOME",
    "{{ 7*7 }} {% raw %} {# no #}",
    "a: b # c",
    "- [x, y]",
    "übergröße 模型 🤖",
    "my models/a b",
    "back\\slash \\# \\n",
    "100%",
    "~",
    "!!python/object:os.system",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("framework", ["trl", "custom"])
def test_hostile_answers_come_back_exactly(new: New, value: str, framework: str) -> None:
    project = new(
        *("p", "--framework", framework, "--algorithm", "sft"),
        *("--model", value, "--rollouts", value),
    )
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert (saved["model"], saved["rollouts"]) == (value, value)
    for config in project.glob("*_config.yaml"):
        assert yaml.safe_load(config.read_text("utf-8")), config
    config = yaml.safe_load((project / f"{framework}_config.yaml").read_text("utf-8"))
    assert config["model_name_or_path"] == value
    assert given_to(project, "filter", "filter_rollouts.py", "--input") == value
    assert given_to(project, "evaluate", "evaluate.py", "--model") == value
    assert value in shell_words_of_readme(project)
    tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    for script in (project / "launch").glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
    assert not (project / "x").exists()


def given_to(project: Path, target: str, script: str, option: str) -> str:
    """What a script is given by make and the shell for an option: a recording python runs it."""
    recorder = project.parent / "record.py"
    recorder.write_text("import json, sys; print('ARGV', json.dumps(sys.argv[1:]))")
    python = f"PYTHON={shlex.quote(sys.executable)} {shlex.quote(str(recorder))}"
    printed = run(["make", target, python], project).stdout
    calls = [json.loads(line[5:]) for line in printed.splitlines() if line.startswith("ARGV ")]
    call = next(call for call in calls if call[0] == script)
    given: str = call[call.index(option) + 1]
    return given


def shell_words_of_readme(project: Path) -> list[str]:
    """All words of the commands in the README's code blocks, as the shell reads them."""
    readme = (project / "README.md").read_text("utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    return [word for block in blocks for word in shlex.split(block, comments=True)]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("model", "two\nlines"),
        ("model", "bell\x07"),
        ("rollouts", ""),
        ("rollouts", " before.jsonl"),
        ("model", "line\u2028separator"),
        ("project_name", "../x"),
        ("project_name", "a b"),
        ("project_name", "$(touch x)"),
        ("project_name", "-rf"),
    ],
)
def test_what_cannot_be_written_is_refused(
    scaffold: Command, tmp_path: Path, answer: str, value: str
) -> None:
    result = scaffold("new", "p", *TRL, "--set", f"{answer}={value}")
    assert result.returncode == 2
    assert f"{answer} = " in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_directory_elsewhere_is_a_path_not_a_name(scaffold: Command, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    result = scaffold("new", "../x", *TRL, "--json", cwd=tmp_path / "here")
    assert json.loads(result.stdout)["answers"]["project_name"] == "x"
    assert (tmp_path / "x" / "train_trl.py").is_file()


def test_interrupted_anywhere_there_is_a_whole_project_or_nothing(new: New, tmp_path: Path) -> None:
    """Ctrl-C after random times; the last moment at which it strikes is while the report prints."""
    files = set(tree(new("whole", *TRL)))
    random_ = random.Random(0)
    temporary = tmp_path / "tmp"
    work = tmp_path / "work"
    temporary.mkdir()
    work.mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(temporary / "cache"),
    }
    struck = 0
    for _ in range(30):
        process: subprocess.Popen[Any] = subprocess.Popen(
            [sys.executable, "-m", "scaffolder", "new", "deep/er/p", *TRL],
            cwd=work,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        time.sleep(random_.uniform(0.05, 0.9))
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        project = work / "deep" / "er" / "p"
        if project.exists():
            assert set(tree(work)) == {f"deep/er/p/{file}" for file in files}
            assert git(project, "status", "--porcelain") == ""
            shutil.rmtree(work / "deep")
        else:
            assert process.returncode in {130, -signal.SIGINT}, stderr
            struck += 1
        assert list(work.rglob("*")) == []
        assert list(temporary.rglob("*")) == []
    assert struck >= 5
