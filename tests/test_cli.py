"""The command line without a terminal: what it prints, and how it ends."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import warm
from conftest import TOOL, Command, Result, run
from scaffolder import __version__
from scaffolder.frameworks import discover
from test_new import git

TRL_DPO = ("--framework", "trl", "--algorithm", "dpo")


def test_version(scaffold: Command) -> None:
    result = scaffold("--version")
    assert (result.returncode, result.stdout) == (0, f"rl-scaffolder {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["new", "--help"], ["frameworks", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = ["copier", "questionary", "msgspec", "jinja2", "torch"]
    script = (
        "import sys\n"
        "from scaffolder.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert "Usage: " in result.stdout
    assert result.stderr == "[]\n"


def test_frameworks_as_json_is_the_contract(scaffold: Command) -> None:
    listed = json.loads(scaffold("frameworks", "--json").stdout)["frameworks"]
    assert [entry["name"] for entry in listed] == list(discover())
    for entry in listed:
        words = {"algorithms", "topologies", "patterns", "tunings", "shardings", "generations"}
        assert set(entry) == {"name", "version", *words}
    trl = next(entry for entry in listed if entry["name"] == "trl")
    assert trl["version"] == "1.16.0"
    assert trl["algorithms"] == ["sft", "dpo", "kto", "rm", "grpo", "rloo", "dapo", "gspo"]
    assert trl["tunings"] == ["full", "lora", "qlora"]


def test_frameworks_table_names_versions(scaffold: Command) -> None:
    shown = scaffold("frameworks").stdout
    assert all(each.name in shown and each.version in shown for each in discover().values())


def test_without_a_terminal_all_missing_answers_are_named(
    scaffold: Command, tmp_path: Path
) -> None:
    result = scaffold("new", "p")
    assert result.returncode == 2
    assert "framework, algorithm" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_everything_wrong_is_reported_at_once(scaffold: Command, tmp_path: Path) -> None:
    result = scaffold(
        *("new", "p", *TRL_DPO, "--nodes", "none", "--gpu-memory", "-1", "--tracker", "excel"),
        *("--set", "sequence_lenth=4"),
    )
    assert result.returncode == 2
    for part in ("nodes = 'none'", "gpu_memory = '-1'", "tracker = 'excel'", "sequence_length?"):
        assert part in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_illegal_combination_names_all_reasons_and_the_nearest_legal_one(scaffold: Command) -> None:
    result = scaffold(
        *("new", "p", "--framework", "trl", "--algorithm", "ppo", "--topology", "slurm"),
        *("--pattern", "staged", "--json"),
    )
    assert result.returncode == 2
    error = json.loads(result.stdout)["error"]
    assert len(error["reasons"]) == 3
    assert "no longer has a PPO trainer" in error["reasons"][0]
    nearest = "--framework openrlhf --algorithm ppo --topology local --pattern direct"
    assert nearest in error["remedy"]
    flags = error["remedy"].split("that is: ")[1].splitlines()[0].split()
    assert scaffold("new", "p", *flags, "--dry-run").returncode == 0


def test_unknown_framework_gets_a_suggestion(scaffold: Command) -> None:
    result = scaffold("new", "p", "--framework", "tlr", "--algorithm", "sft")
    assert result.returncode == 2
    assert "did you mean trl?" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"- a\n- b\n", "no `name: value` lines"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"model: 2026-13-45", "not YAML"),
        (b"[" * 5000, "not YAML"),
        (None, "No such file"),
    ],
)
def test_bad_answers_file(
    scaffold: Command, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "answers.yml"
    if content is not None:
        file.write_bytes(content)
    result = scaffold("new", "p", "--answers", str(file))
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_usage_ends_with_2(scaffold: Command) -> None:
    assert scaffold("new", "--no-such-option").returncode == 2
    assert scaffold("nwe").returncode == 2
    assert scaffold("new", "p", *TRL_DPO, "--set", "epochs").returncode == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new", "p", "--no-such-option", "--json"], "--no-such-option"),
        (["new", "--json", "p", "--no-such-option"], "--no-such-option"),
        (["nwe", "--json"], "nwe"),
        (["inspect", "--json"], "PATH"),
        (["check", "--json", "a", "b"], "b"),
        (["new", "p", "--json", "--framework"], "--framework"),
        (["--json"], "--json"),
        (["new", "p", "--json"], "framework"),
    ],
)
def test_wrong_usage_is_json_for_scripts(scaffold: Command, words: list[str], said: str) -> None:
    done = scaffold(*words)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and said in error["problem"] and error["remedy"]
    assert "Traceback" not in done.stderr and said in done.stderr


@pytest.mark.parametrize(
    "words", [("inspect", "--", "--json"), ("new", "p", *TRL_DPO, "--nodes", "--json")]
)
def test_json_is_an_option_only_where_it_stands_as_one(
    scaffold: Command, words: tuple[str, ...]
) -> None:
    done = scaffold(*words)
    assert (done.returncode, done.stdout) == (2, "") and "--json" in done.stderr


def with_full_output(folder: Path, *words: str, to: str = "/dev/full") -> Result:
    command = shlex.join([warm.python(*TOOL), "-m", "scaffolder", *words])
    return run(["bash", "-c", f"set -o pipefail; {command} > {to}"], folder)


def test_a_full_output_is_an_error_that_says_what_was_done(tmp_path: Path) -> None:
    for words in (("--version",), ("--help",), ("frameworks",), ("compare", "--json")):
        done = with_full_output(tmp_path, *words)
        said = "error: Cannot print: No space left on device.\n"
        assert (done.returncode, done.stderr) == (1, said)
    done = with_full_output(tmp_path, "new", "p", *TRL_DPO)
    assert done.returncode == 1 and f"The project is written: {tmp_path}/p." in done.stderr
    done = with_full_output(tmp_path, "update", "p", "--set", "sequence_length=512", "--json")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "The update is done" in done.stderr and "To take it back: `git " in done.stderr
    assert "trl_config.yaml" in git(tmp_path / "p", "diff", "--cached", "--name-only")


def test_whoever_stops_reading_is_told_nothing(tmp_path: Path) -> None:
    command = shlex.join([warm.python(*TOOL), "-m", "scaffolder", "--help"])
    done = run(["bash", "-c", f"{command} | true"], tmp_path)
    assert done.stderr == ""


def test_warnings_are_no_errors(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "scaffolder"]
    done = run([*command, "new", "p", *TRL_DPO], tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    done = run([*command, "update", "p", "--dry-run"], tmp_path, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["new p --framework trl --algorithm sft", "update", "check"])
def test_a_working_folder_that_is_gone_has_an_error(tmp_path: Path, command: str) -> None:
    words = f"{shlex.quote(sys.executable)} -m scaffolder {command}"
    done = run(["bash", "-c", f"mkdir gone; cd gone; rmdir ../gone; {words}"], tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_ctrl_c_while_python_imports_is_no_traceback(tmp_path: Path) -> None:
    """A module that the command imports says when, and waits."""
    (tmp_path / "typer").mkdir()
    (tmp_path / "typer" / "__init__.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path[1:]])
    process = subprocess.Popen(
        [sys.executable, "-c", "from scaffolder.cli import main; main()", "frameworks"],
        env={**os.environ, "PYTHONPATH": path}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "importing\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode in {-signal.SIGINT, 130}


def test_completion_offers_what_there_is() -> None:
    def complete(words: str) -> list[str]:
        environment = {
            "_RL_SCAFFOLDER_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "PATH": str(Path(sys.executable).parent),
        }
        program = Path(sys.executable).with_name("rl-scaffolder")
        command = [sys.executable, str(program)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True
        ).stdout.split()

    assert complete("rl-scaffolder ") == [
        *("new", "inspect", "compare", "check", "update", "frameworks"),
    ]
    assert complete("rl-scaffolder new --framework ") == list(discover())
    assert complete("rl-scaffolder new --algorithm d") == ["dpo", "dapo"]


HEAVY = {"copier", "jinja2", "msgspec", "packaging", "pydantic", "questionary", "rich", "yaml"}
"""What makes a start slow; `make bench` measures how slow."""


@pytest.mark.parametrize("said", ["--version", "--help", "completion"])
def test_starting_costs_what_typer_costs(said: str) -> None:
    """Nothing but Typer is imported by what people wait for at a prompt."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('imported', *sorted({HEAVY!r} & set(sys.modules))))\n"
        f"sys.argv = ['rl-scaffolder', *{[] if said == 'completion' else said.split()!r}]\n"
        "from scaffolder.cli import main\n"
        "main()\n"
    )
    completing = {
        "_RL_SCAFFOLDER_COMPLETE": "complete_bash",
        "COMP_WORDS": "rl-scaffolder new --algorithm ",
        "COMP_CWORD": "3",
    }
    environment = os.environ | (completing if said == "completion" else {})
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    imported = set(done.stdout.splitlines()[-1].split()[1:])
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 1, done.stderr
    # Help is set by rich, which Typer imports itself.
    assert imported <= ({"rich"} if "--help" in said else set())
