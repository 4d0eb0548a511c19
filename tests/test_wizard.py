"""The wizard in a pseudo-terminal of 80 x 24, with the keys that a person presses."""

import os
import re
import shlex
import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from conftest import ROOT, Command
from rollouts import record, says, write

SIZES = ("How many machines", "How many GPUs", "How much memory", "Which model")
LAST = ("Which directory", "Change learning rate", "Write the project")
ENTER, DOWN, CTRL_C, CTRL_D = "\r", "\x1b[B", "\x03", "\x04"
NOT_THERE = (("Where are the rollouts", ENTER), ("Enter goes on", ENTER))
"""A path with nothing at it is taken when it is said again."""


def start(folder: Path, *arguments: str, command: str = "new") -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "scaffolder", command, *arguments],
        cwd=str(folder),
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
        # A terminal says where its cursor is, and is waited for a second where it does not.
        env={**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1"},
    )


def talk(terminal: pexpect.spawn, *said: tuple[str, str]) -> None:
    """Wait for each question, and press the keys."""
    for question, keys in said:
        terminal.expect(question)
        terminal.send(keys)


def enter(*questions: str) -> list[tuple[str, str]]:
    return [(question, ENTER) for question in questions]


def ended(terminal: pexpect.spawn) -> tuple[int, str]:
    """The exit code, and what was still printed, as plain text."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.before)
    return terminal.exitstatus, plain.replace("\r", "")


def printed_command(text: str) -> list[str]:
    """The words of a command that goes on over several lines, after the name of the program."""
    found = re.search(r"rl-scaffolder new(?:.*\\\n)*.*", text)
    assert found, text
    return shlex.split(found[0].replace("\\\n", " "))[1:]


def stopped(terminal: pexpect.spawn) -> dict[str, str]:
    """Press Ctrl-C at the last question; the answers in the command that is printed then."""
    talk(terminal, ("Write the project", CTRL_C))
    code, text = ended(terminal)
    assert code == 130
    words = [word for word in printed_command(text) if word != "--set"]
    pairs = [word.split("=", 1) for word in words if "=" in word and not word.startswith("--")]
    options = [place for place, word in enumerate(words) if word.startswith("--")]
    return {words[at][2:].replace("-", "_"): words[at + 1] for at in options} | dict(pairs)


def answers(project: Path) -> dict[str, object]:
    saved: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return saved


def test_enter_takes_the_defaults(scaffold: Command, tmp_path: Path) -> None:
    wizard = start(tmp_path)
    wizard.expect("< goes back, . explains, Ctrl-C stops")
    questions = ("Which framework trains", "Which algorithm", "Which weights", *SIZES)
    talk(wizard, *NOT_THERE, *enter(*questions, "Where should the loss curve go", *LAST))
    wizard.expect("make smoke")
    code, text = ended(wizard)
    assert code == 0
    saved = answers(tmp_path / "trl-sft")
    assert [saved[name] for name in ("framework", "algorithm", "tracker")] == [
        *("trl", "sft", "tensorboard")
    ]
    words = printed_command(text)
    assert words[:2] == ["new", "trl-sft"] and words[-1] == "--yes"
    words[1] = "again"
    assert scaffold(*words).returncode == 0
    different = {
        name for name, value in answers(tmp_path / "again").items() if saved[name] != value
    }
    assert different == {"project_name"}


def test_what_is_typed_replaces_the_default_and_is_judged(tmp_path: Path) -> None:
    """TRL: numbers, a model, a path and a directory, each wrong once."""
    wizard = start(tmp_path, "--framework", "trl", "--tracker", "none")
    talk(
        wizard,
        ("Where are the rollouts", "/nowhere/x.jsonl" + ENTER),
        ("nothing at /nowhere/x.jsonl", ""),
        (r"\[/nowhere/x.jsonl\]", "later.jsonl" + ENTER),
        ("nothing at later.jsonl", ENTER),
        ("Which algorithm", DOWN + ENTER),
        ("Which weights", DOWN + ENTER),
        (r"How many machines\? \[1\]", "0" + ENTER),
        ("greater than or equal to 1", ""),
        ("How many machines", ENTER),
        ("How many GPUs", "x" + ENTER),
        ("valid integer", ""),
        ("How many GPUs", "8" + ENTER),
        ("How much memory", "-3" + ENTER),
        ("greater than 0", ""),
        ("How much memory", "40" + ENTER),
        ("Which model", "org/large-2B" + ENTER),
        ("Which directory", "my project" + ENTER),
        ("must be letters, digits", ""),
        (r"Which directory\? \[trl-dpo\]", "mine" + ENTER),
        ("Change learning rate", ENTER),
        ("one step.*32 pairs", ""),
        ("learning rate.*1e-05", ""),
        ("KL coefficient.*0.1", ""),
    )
    said = stopped(wizard)
    names = ("algorithm", "gpus_per_node", "gpu_memory", "model", "tuning", "rollouts")
    chosen = ["dpo", "8", "40", "org/large-2B", "lora", "later.jsonl"]
    assert [said[name] for name in names] == chosen
    assert list(tmp_path.iterdir()) == []


def test_there_is_a_way_back_and_each_question_is_explained(tmp_path: Path) -> None:
    """custom: at questions with arrows and at lines, also to the first one."""
    wizard = start(tmp_path, "p", "--rollouts", "r", "--tracker", "none")
    talk(
        wizard,
        ("Which framework", "<"),
        ("This is the first question", ""),
        ("Which framework", "?"),
        ("program that trains", ""),
        ("Which framework", DOWN + ENTER),  # from TRL to verl
        ("Which algorithm.*reinforce_pp", "<" + ENTER),
        (r"Which framework.*verl", "\x1b[A" * 3 + ENTER),  # custom, which has fewer
        ("Which algorithm", DOWN + ENTER),
        ("How many machines", "?" + ENTER),
        ("train together", ""),
        ("How many machines", "2" + ENTER),
        ("How many GPUs", "<" + ENTER),
        (r"How many machines\? \[2\]", "<" + ENTER),
        ("Which algorithm", ENTER),
        (r"How many machines\? \[2\]", ENTER),
        ("How many GPUs", "8" + ENTER),
        *enter("How much memory", "Which model", "Change learning rate"),
        ("Write the project", "<" + ENTER),
        ("Change learning rate", "<"),
        ("Which model", ENTER),
        *enter("Change learning rate"),
    )
    said = stopped(wizard)
    names = ("framework", "algorithm", "nodes", "gpus_per_node")
    assert [said[name] for name in names] == ["custom", "dpo", "2", "8"]


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_stopping_says_how_to_go_on(tmp_path: Path, key: str) -> None:
    wizard = start(tmp_path, "p", "--framework", "verl", "--rollouts", "my rollouts.jsonl")
    talk(
        wizard,
        ("Which algorithm", ENTER),
        ("Which weights", DOWN + ENTER),
        ("What generates", ENTER),
        ("How many machines", "3" + ENTER),
        ("How many GPUs", ENTER),
        *enter("How much memory", "Which model"),
        ("Where should the loss curve go", key),
    )
    code, text = ended(wizard)
    assert code == 130 and "nothing was written" in text
    words = printed_command(text)
    assert words[:2] == ["new", "p"] and "--yes" not in words
    said = dict(zip(words[2::2], words[3::2], strict=True))
    assert said["--rollouts"] == "my rollouts.jsonl"
    assert (said["--algorithm"], said["--tuning"], said["--nodes"]) == ("grpo", "lora", "3")
    assert all(len(line) <= 80 for line in text.partition("nothing was written")[2].splitlines())
    assert list(tmp_path.iterdir()) == []
    again = start(tmp_path, *words[1:])
    again.expect("Where should the loss curve go")
    again.close(force=True)


@pytest.mark.parametrize(
    ("keys", "code"), [(CTRL_C, 130), ("n" + ENTER, 130)], ids=["ctrl-c", "no"]
)
def test_stopping_at_the_last_question_writes_nothing(tmp_path: Path, keys: str, code: int) -> None:
    flags = ("--framework", "trl", "--algorithm", "sft", "--tracker", "none", "--tuning", "full")
    wizard = start(tmp_path, "p", *flags, "--set", "epochs=2", "--rollouts", "r")
    talk(wizard, *enter(*SIZES, "Change learning rate"), ("Write the project", "maybe" + ENTER))
    talk(wizard, ("yes or no", ""), ("Write the project", keys))
    ended_with, text = ended(wizard)
    assert ended_with == code and "epochs=2" in printed_command(text)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_can_be_changed_when_the_plan_is_not_feasible(tmp_path: Path) -> None:
    """verl, whose full weights of 70 billion parameters fit on no GPU."""
    flags = ("--framework", "verl", "--algorithm", "sft", "--tracker", "none", "--rollouts", "r")
    wizard = start(tmp_path, "p", *flags)
    talk(
        wizard,
        *enter("Which weights", "How many machines", "How many GPUs", "How much memory"),
        ("Which model", "org/m-70B" + ENTER),
        ("70 billion, takes", ""),
        ("This fits, as the planner has tried", ""),
        ("All your answers", ""),
        ("--model org/m-70B", ""),
        ("Which answer is to be another one", ENTER),
        (r"Which model.*\[org/m-70B\]", "org/m-1B" + ENTER),
        *enter("Change learning rate", "Write the project"),
    )
    assert ended(wizard)[0] == 0
    assert answers(tmp_path / "p")["model"] == "org/m-1B"


def test_what_is_usual_can_be_changed_on_one_page(tmp_path: Path) -> None:
    flags = ("--framework", "custom", "--algorithm", "grpo", "--tracker", "none", "--rollouts", "r")
    sizes = ("--nodes", "1", "--gpus-per-node", "1", "--gpu-memory", "80", "--model", "org/m-1B")
    wizard = start(tmp_path, "p", *flags, *sizes, "--generation", "transformers")
    talk(
        wizard,
        ("Change learning rate.*num_generations", DOWN + DOWN + ENTER),
        (r"global_batch_size.*\[256\]", "30" + ENTER),
        ("does not divide", ""),
        (r"global_batch_size.*\[256\]", "32" + ENTER),
        (r"global_batch_size 32", DOWN * 7 + ENTER),
        (r"learning_rate.*\[1e-06\]", "?" + ENTER),
        ("nothing is learned", ""),
        ("learning_rate", "2.5e-6" + ENTER),
        ("learning_rate *2.5e-06", DOWN * 8 + ENTER),
        ("scheduler", DOWN + ENTER),
    )
    talk(wizard, ("scheduler +cosine", ENTER), ("4 prompts x 8 responses = 32", ""))
    said = stopped(wizard)
    assert (said["global_batch_size"], said["learning_rate"]) == ("32", "2.5e-6")
    assert said["scheduler"] == "cosine"


def test_online_algorithms_ask_what_generates(tmp_path: Path) -> None:
    flags = ("--framework", "trl", "--algorithm", "grpo", "--tuning", "full", "--tracker", "none")
    wizard = start(tmp_path, "p", *flags, "--set", "gpus_per_node=2", "--rollouts", "r")
    talk(wizard, ("What generates the responses", DOWN + ENTER))
    talk(wizard, *enter("How many machines", "How much memory", "Which model", LAST[1]))
    wizard.expect("vLLM on 1 GPU.s. of its own, 1 train")
    assert stopped(wizard)["generation"] == "vllm_server"


def test_with_yes_or_json_it_never_asks_on_a_terminal(tmp_path: Path) -> None:
    for last in ("--yes", "--json"):
        wizard = start(tmp_path, last.strip("-"), "--framework", "trl", "--algorithm", "sft", last)
        assert ended(wizard)[0] == 0
        assert (tmp_path / last.strip("-") / "train_trl.py").is_file()


def test_what_was_given_is_judged_before_any_question(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "file").write_text("")
    words = ("--framework", "trl", "--tuning", "qlra", "--algorithm", "ppo", "--set", "epochs=abc")
    code, text = ended(start(tmp_path, "p", *words, "--set", "learnin_rate=1", "--set", "x"))
    assert code == 2
    flat = " ".join(text.split())
    for said in (
        "not an empty directory",
        "tuning = 'qlra'",
        "epochs = 'abc'",
        "did you mean learning_rate?",
        "--set 'x': must be key=value",
        "no longer has a PPO trainer",
    ):
        assert said in flat, said
    code, text = ended(start(tmp_path, "q", "--framework", "tlr"))
    assert code == 2 and "did you mean trl" in text


def test_what_becomes_of_tools_is_asked_and_what_is_taken_is_said(tmp_path: Path) -> None:
    shop = str(ROOT / "examples" / "rollouts" / "shop.jsonl")
    flags = ("--framework", "trl", "--algorithm", "grpo", "--rollouts", shop, "--tracker", "none")
    wizard = start(tmp_path, "p", *flags, "--tuning", "full", "--generation", "transformers")
    talk(wizard, ("40 prompts have tools", ""), *enter("What becomes of them", *SIZES, LAST[1]))
    wizard.expect("What it will do with these rollouts")
    wizard.expect("53 prompts, 7 more held out; 35 with tools shown; 53 to train on")
    wizard.expect("Write the project")
    wizard.send(ENTER)
    wizard.expect(pexpect.EOF)
    wizard.close()
    config = (tmp_path / "p" / "trl_config.yaml").read_text("utf-8")
    assert "\nenvironment: environment:Shop" in config


def test_rollouts_that_are_there_are_looked_at_and_decide_what_is_offered_first(
    tmp_path: Path,
) -> None:
    rows = [record([says(f"answer {n}")], reward=n % 2, _ng_task_index=n // 2) for n in range(8)]
    write(tmp_path / "mine.jsonl", *rows, b"no json")
    flags = ("--framework", "trl", "--tracker", "none", "--rollouts", "mine.jsonl")
    wizard = start(tmp_path, "p", *flags)
    wizard.expect("8 rollouts of 4 tasks")
    wizard.expect("1 of 9 lines")
    wizard.expect("4 of 4 tasks have two or more different rewards")
    talk(wizard, (r"dpo.*fits the rollouts", ENTER))
    talk(
        wizard,
        *enter("Which weights", *SIZES, LAST[1]),
        ("What it will do with these", ""),
        ("more than the share", ""),
    )
    assert stopped(wizard)["algorithm"] == "dpo"
