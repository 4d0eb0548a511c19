"""The wizard in a pseudo-terminal, with the keys that a person presses."""

import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from conftest import ROOT
from rollouts import record, says, write

SIZES = ("How many GPUs", "How much memory", "Which model")
ENTER, DOWN, CTRL_C = "\r", "\x1b[B", "\x03"


def start(folder: Path, *arguments: str, command: str = "new") -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "scaffolder", command, *arguments],
        cwd=str(folder),
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 120),
    )


def answers(project: Path) -> dict[str, object]:
    saved: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return saved


def test_enter_takes_the_defaults(tmp_path: Path) -> None:
    wizard = start(tmp_path)
    for question in (
        "Where are the rollouts",
        "Which framework trains",
        "Which algorithm",
        "Which weights",
        "How many GPUs",
        "How much memory",
        "Which model",
        "Where should the loss curve go",
        "Which directory",
        "Write the project",
    ):
        wizard.expect(question)
        wizard.send(ENTER)
    wizard.expect("make smoke")
    assert "sequence length" not in wizard.before, "the summary has been seen"
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 0
    saved = answers(tmp_path / "trl-sft")
    assert (saved["framework"], saved["algorithm"], saved["tracker"]) == (
        "trl",
        "sft",
        "tensorboard",
    )


def test_answers_are_typed_corrected_and_shown_before_anything_is_written(tmp_path: Path) -> None:
    wizard = start(tmp_path, "mine", "--framework", "trl", "--tracker", "none")
    wizard.expect("Where are the rollouts")
    wizard.send(ENTER)
    wizard.expect("Which algorithm")
    wizard.send(DOWN + ENTER)
    wizard.expect("Which weights")
    wizard.send(DOWN + ENTER)
    wizard.expect("How many GPUs")
    wizard.send("x")
    wizard.send(ENTER)
    wizard.expect("valid integer")
    wizard.send("\x7f\x7f4" + ENTER)
    wizard.expect("How much memory")
    wizard.send(ENTER)
    wizard.expect("Which model")
    wizard.send("-large-2B" + ENTER)
    wizard.expect("dpo, on preference data")
    wizard.expect("Write the project")
    assert list(tmp_path.iterdir()) == []
    wizard.send(ENTER)
    wizard.expect(pexpect.EOF)
    saved = answers(tmp_path / "mine")
    assert (saved["algorithm"], saved["gpus_per_node"]) == ("dpo", 4)
    assert (saved["model"], saved["tuning"]) == ("Qwen/Qwen3-0.6B-large-2B", "lora")


def test_online_algorithms_ask_what_generates(tmp_path: Path) -> None:
    flags = ("--framework", "trl", "--algorithm", "grpo", "--tuning", "full", "--tracker", "none")
    wizard = start(tmp_path, "p", *flags, "--set", "gpus_per_node=2")
    for question, keys in (
        ("Where are the rollouts", ENTER),
        ("What generates the responses", DOWN + ENTER),
        ("How much memory", ENTER),
        ("Which model", ENTER),
    ):
        wizard.expect(question)
        wizard.send(keys)
    wizard.expect("vLLM on 1 GPU.s. of its own, 1 train")
    wizard.expect("Write the project")
    wizard.send(ENTER)
    wizard.expect(pexpect.EOF)
    assert answers(tmp_path / "p")["generation"] == "vllm_server"


@pytest.mark.parametrize(("keys", "code"), [(CTRL_C, 130), ("n", 130)], ids=["ctrl-c", "no"])
def test_stopping_at_the_last_question_writes_nothing(tmp_path: Path, keys: str, code: int) -> None:
    wizard = start(tmp_path, "p", "--framework", "trl", "--algorithm", "sft", "--tracker", "none")
    for question in ("Where are the rollouts", "Which weights", *SIZES):
        wizard.expect(question)
        wizard.send(ENTER)
    wizard.expect("Write the project")
    wizard.send(keys)
    wizard.expect("nothing was written")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == code
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_the_first_question(tmp_path: Path) -> None:
    wizard = start(tmp_path)
    wizard.expect("Where are the rollouts")
    wizard.send(CTRL_C)
    wizard.expect("nothing was written")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 130


def test_with_yes_or_json_it_never_asks_on_a_terminal(tmp_path: Path) -> None:
    for last in ("--yes", "--json"):
        wizard = start(tmp_path, last.strip("-"), "--framework", "trl", "--algorithm", "sft", last)
        wizard.expect(pexpect.EOF)
        wizard.close()
        assert wizard.exitstatus == 0
        assert (tmp_path / last.strip("-") / "train_trl.py").is_file()


def test_an_occupied_directory_is_refused_before_any_question(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "file").write_text("")
    wizard = start(tmp_path, "p")
    wizard.expect("not an empty directory")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 2


def test_ctrl_d_is_ctrl_c(tmp_path: Path) -> None:
    wizard = start(tmp_path, "p", "--framework", "trl", "--rollouts", "r", "--algorithm", "sft")
    wizard.expect("Which weights")
    wizard.send(ENTER)
    wizard.expect("How many GPUs")
    wizard.send("\x7f\x04")
    wizard.expect("nothing was written")
    wizard.expect(pexpect.EOF)
    wizard.close()
    assert wizard.exitstatus == 130


def test_bad_flags_are_refused_before_any_question(tmp_path: Path) -> None:
    for flags, said in (
        (["--framework", "tlr"], "did you mean trl"),
        (["--set", "epochs=abc"], "epochs = 'abc'"),
    ):
        wizard = start(tmp_path, "p", *flags)
        wizard.expect(said)
        wizard.expect(pexpect.EOF)
        wizard.close()
        assert wizard.exitstatus == 2


def test_answers_are_not_lost_when_they_cannot_be_planned(tmp_path: Path) -> None:
    flags = ("--framework", "trl", "--algorithm", "sft", "--model", "org/m-70B")
    wizard = start(tmp_path, "p", *flags, "--tracker", "none")
    for question in ("Where are the rollouts", "Which weights", *SIZES[:2]):
        wizard.expect(question)
        wizard.send(ENTER)
    wizard.expect("70 billion weights")
    wizard.expect("All your answers: rl-scaffolder new p")
    wizard.expect("--model org/m-70B")
    wizard.expect(pexpect.EOF)


def test_what_becomes_of_tools_is_asked_and_what_is_taken_is_said(tmp_path: Path) -> None:
    shop = str(ROOT / "examples" / "rollouts" / "shop.jsonl")
    flags = ("--framework", "trl", "--algorithm", "grpo", "--rollouts", shop, "--tracker", "none")
    wizard = start(tmp_path, "p", *flags, "--tuning", "full", "--generation", "transformers")
    wizard.expect("40 prompts have tools. What becomes of them")
    wizard.send(ENTER)
    for question in SIZES:
        wizard.expect(question)
        wizard.send(ENTER)
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
    wizard.expect(r"dpo.*fits the rollouts")
    wizard.send(ENTER)
    for question in ("Which weights", *SIZES, "Write the project"):
        wizard.expect(question)
        wizard.send(ENTER)
    wizard.expect("make smoke")
    wizard.expect(pexpect.EOF)
    assert answers(tmp_path / "p")["algorithm"] == "dpo"
