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

from conftest import ROOT, Command, Result, run
from scaffolder import frameworks
from scaffolder.frameworks import names
from scaffolder.project import read_config

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
    assert set(report) == {"path", "files", "answers", "plan", "committed", "left_alone"}
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


GIT_SETTINGS = {
    "no identity": "[user]\n useConfigOnly = true\n",
    "half an identity": "[user]\n useConfigOnly = true\n[committer]\n name = c\n email = c@c\n",
    "line ends": "[core]\n autocrlf = true\n safecrlf = true\n",
    "ignores": "[core]\n excludesFile = ignored\n",
    "a filter": '[core]\n attributesFile = attributes\n[filter "x"]\n clean = no\n required\n',
    "hooks and signing": "[core]\n hooksPath = hooks\n[commit]\n gpgsign = true\n",
    "no local files": '[protocol "file"]\n allow = never\n',
    "another https": '[url "https://mirror/"]\n insteadOf = https://\n',
}
GIT_VARIABLES = {
    "GIT_DIR": "elsewhere/.git",
    "GIT_NAMESPACE": "other",
    "GIT_ALLOW_PROTOCOL": "https",
    "GIT_CONFIG_PARAMETERS": "'protocol.file.allow=never'",
    "GIT_CONFIG_COUNT": "1",
}


def new_with(folder: Path, **environment: str) -> Result:
    command = [sys.executable, "-m", "scaffolder", "new", "p", "--json", *TRL]
    return run(command, folder, env={**os.environ, **environment})


@pytest.mark.parametrize("settings", GIT_SETTINGS.values(), ids=GIT_SETTINGS)
def test_no_git_setting_of_the_user_is_in_the_way(tmp_path: Path, settings: str) -> None:
    (tmp_path / "ignored").write_text("*.jsonl\n.env*\n")
    (tmp_path / "attributes").write_text("* filter=x\n")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "hooks" / "pre-commit").chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(settings.replace("= ignored", f"= {tmp_path}/ignored"))
    config.write_text(config.read_text().replace("= attributes", f"= {tmp_path}/attributes"))
    config.write_text(config.read_text().replace("= hooks", f"= {tmp_path}/hooks"))
    result = new_with(tmp_path, GIT_CONFIG_GLOBAL=str(config), HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    committed = git(tmp_path / "p", "ls-files").splitlines()
    assert sorted(committed) == json.loads(result.stdout)["files"]
    assert git(tmp_path / "p", "log", "--format=%an") != ""


@pytest.mark.parametrize(("name", "value"), GIT_VARIABLES.items(), ids=GIT_VARIABLES)
def test_no_git_variable_points_it_elsewhere(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    git(tmp_path / "elsewhere", "init")
    result = new_with(tmp_path, **{name: str(tmp_path / value) if "/" in value else value})
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "p" / ".git").is_dir()


def test_a_broken_git_setup_is_said_in_git_s_words(tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text("[broken\n")
    result = new_with(tmp_path, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"))
    assert result.returncode == 2
    assert "bad config" in result.stderr and "--no-git" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["gitconfig"]


def test_two_at_once_make_one_whole_project(tmp_path: Path) -> None:
    for there_before in (False, True):
        if there_before:
            (tmp_path / "p").mkdir()
        command = [sys.executable, "-m", "scaffolder", "new", "p", "--json", *TRL]
        both = [
            subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        printed = [process.communicate()[0] for process in both]
        won = [
            json.loads(out) for out, each in zip(printed, both, strict=True) if each.returncode == 0
        ]
        assert sorted(process.returncode for process in both) in ([0, 2], [2, 2])
        assert there_before or len(won) == 1
        if won:
            assert sorted(tree(tmp_path / "p")) == won[0]["files"]
            assert git(tmp_path / "p", "status", "--porcelain") == ""
        assert [path.name for path in tmp_path.iterdir()] == ["p"]
        shutil.rmtree(tmp_path / "p")


def test_an_empty_directory_in_one_that_cannot_be_written_is_filled(tmp_path: Path) -> None:
    """As a mounted folder in a container is: nothing may be written beside it."""
    target = tmp_path / "closed" / "p"
    target.mkdir(parents=True)
    before = target.stat().st_ino
    closed = target.parent.stat().st_mtime_ns
    assert new_with(target.parent).returncode == 0
    assert target.stat().st_ino == before
    assert target.parent.stat().st_mtime_ns == closed
    assert (target / ".git").is_dir()


def test_closed_streams_are_no_terminal(tmp_path: Path) -> None:
    words = shlex.join([sys.executable, "-m", "scaffolder", "new", "p", *TRL])
    result = run(["bash", "-c", f"{words} <&-"], tmp_path)
    assert result.returncode == 0, result.stderr


def test_an_ascii_terminal_can_show_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scaffolder", "new", "ü", "--set", "project_name=p", *TRL]
    for more in ([], ["--json"]):
        result = run([*command, *more], tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
        assert result.returncode == 0, result.stderr
        shutil.rmtree(tmp_path / "ü")


def test_dry_run_lists_the_files_and_writes_nothing(scaffold: Command, tmp_path: Path) -> None:
    planned = json.loads(scaffold("new", "p", *TRL, "--dry-run", "--json").stdout)
    assert list(tmp_path.iterdir()) == []
    shown = scaffold("new", "p", *TRL, "--dry-run").stdout
    assert all(file in shown for file in planned["files"])
    written = json.loads(scaffold("new", "p", *TRL, "--json").stdout)
    assert planned == written | {"committed": False}


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


def test_a_file_in_the_way_is_no_traceback(tmp_path: Path) -> None:
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


def test_what_is_there_is_named_by_its_absolute_path(new: New, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("{}\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    project = new("p", *TRL, "--rollouts", "mine.jsonl", "--model", "model")
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert saved["rollouts"] == str(tmp_path / "mine.jsonl")
    assert saved["model"] == str(tmp_path / "model")
    elsewhere = new("q", *TRL, "--rollouts", "later.jsonl")
    saved = yaml.safe_load((elsewhere / ".copier-answers.yml").read_text("utf-8"))
    assert saved["rollouts"] == "later.jsonl"


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
@pytest.mark.parametrize("framework", names())
def test_hostile_answers_come_back_exactly(new: New, value: str, framework: str) -> None:
    project = new(
        *("p", "--framework", framework, "--algorithm", "sft"),
        *("--model", value, "--rollouts", value),
    )
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert (saved["model"], saved["rollouts"]) == (value, value)
    for config in project.glob("*_config.yaml"):
        assert yaml.safe_load(config.read_text("utf-8")), config
    key = frameworks.get(framework).keys("sft").model
    assert key is not None
    written = read_config(project, f"{framework}_config.yaml").get(key)
    # OmegaConf, which verl reads with, would take ${HOME} for another key.
    assert (written.replace("\\${", "${") if framework == "verl" else written) == value
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


def test_home_is_expanded_where_no_shell_did_it(new: New, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("rollouts: ~/data/x.jsonl\nmodel: ~/models/m-1b\n")
    project = new("p", *TRL, "--answers", "a.yml")
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert saved["rollouts"] == str(Path.home() / "data/x.jsonl")
    assert saved["model"] == str(Path.home() / "models/m-1b")


def test_answers_as_json(new: New, tmp_path: Path) -> None:
    given = {"framework": "trl", "algorithm": "sft", "model": "modèle 🤖", "nodes": 1}
    (tmp_path / "a.json").write_text(json.dumps(given, indent="\t"))
    project = new("p", "--answers", "a.json")
    saved = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert saved["model"] == given["model"]


def test_a_directory_that_looks_like_markup_is_shown_as_it_is(
    scaffold: Command, tmp_path: Path
) -> None:
    shown = scaffold("new", "[red]p", "--set", "project_name=p", *TRL)
    assert shown.returncode == 0
    assert shown.stdout.replace("\n", "").count("[red]p") >= 3
    assert (tmp_path / "[red]p" / "Makefile").is_file()


def test_an_empty_directory_name_is_refused(scaffold: Command, tmp_path: Path) -> None:
    result = scaffold("new", "", *TRL)
    assert result.returncode == 2 and "must not be empty" in result.stderr
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.long
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
