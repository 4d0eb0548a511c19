"""What a terminal of 80 columns shows: no line is cut within a word, and a person with each
framework gets through."""

import re
from pathlib import Path

import pexpect
import pytest

from rollouts import many, write
from scaffolder.cli import output
from scaffolder.frameworks import discover
from scaffolder.vocabulary import WORDS
from test_wizard import CTRL_C, DOWN, ENTER, ended, printed_command, start

WIDTH = 80
NARROW = [
    ("inspect", "mine.jsonl"),
    ("new", "p", "--framework", "verl", "--algorithm", "dpo", "--yes", "--set", "kl=3"),
    ("new", "p", "--framework", "trl", "--algorithm", "grpo", "--yes", "--model", "a/b-70B"),
]


@pytest.mark.parametrize("words", NARROW, ids=lambda words: "-".join(words[:1] + words[2:5]))
def test_no_line_is_wider_than_the_terminal(words: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", *many(8))
    command, *arguments = words
    _, text = ended(start(tmp_path, *arguments, command=command))
    wide = [line for line in text.splitlines() if len(line) > WIDTH]
    assert [line for line in wide if str(tmp_path) not in line] == []


class Terminal:
    def isatty(self) -> bool:
        return True


def test_what_goes_on_stands_below_its_beginning() -> None:
    words = " ".join(["word"] * 30)
    for lead in ("", "  - ", " ! ", "  lengths  "):
        first, *rest = output.fitted(lead + words, Terminal()).splitlines()  # type: ignore[arg-type]
        assert first.startswith(lead) and len(first) <= WIDTH
        assert rest and all(re.match(rf" {{{len(lead)}}}word", line) for line in rest), lead


def test_a_command_stays_one_for_a_shell() -> None:
    command = "rl-scaffolder new mine --framework trl --algorithm grpo --set learning_rate=1e-6"
    said = output.fitted(f"  {command} --model org/name", Terminal())  # type: ignore[arg-type]
    assert said.count("\\\n") == 1
    assert printed_command(said) == f"{command} --model org/name".split()[1:]


def test_what_no_terminal_shows_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("word " * 40)
    assert capsys.readouterr().out.count("\n") == 1


def test_each_choice_fits_on_its_line() -> None:
    wide = {word: said for word, said in WORDS.items() if len(f" » {word}: {said}") > WIDTH}
    assert wide == {}


TYPED = {
    "How many machines": "2",
    "How many GPUs": "8",
    "How much memory": "40",
    "Which model": "org/small-1B",
    "Which directory": "mine",
}
"""What a person types over the defaults."""
WRONG = {"How many GPUs": "eight", "How much memory": "-1", "Which directory": "my project"}
CHOSEN = ("Which weights", "What generates", "What becomes", "loss curve", "Change learning")


@pytest.mark.parametrize("name", discover())
def test_a_person_with_each_framework(name: str, tmp_path: Path) -> None:
    """Wrong answers, `?`, the way back, and Ctrl-C at the end, whatever a framework asks."""
    algorithm = discover()[name].algorithms[-1]
    wizard = start(tmp_path, "--framework", name, "--algorithm", algorithm)
    wizard.expect("Where are the rollouts")
    wizard.send("?" + ENTER)
    wizard.expect("JSON lines")
    wizard.send("later.jsonl" + ENTER)
    wizard.expect("Enter goes on")
    wizard.send(ENTER)
    asked = _answer_all(wizard)
    assert set(TYPED) <= set(asked)
    wizard.send("<" + ENTER)
    wizard.expect("Change learning")
    wizard.send(ENTER)
    wizard.expect("Write the project")
    wizard.send(CTRL_C)
    code, text = ended(wizard)
    words = printed_command(text)
    assert code == 130 and list(tmp_path.iterdir()) == []
    for flag, value in (("--gpus-per-node", "8"), ("--gpu-memory", "40"), ("--nodes", "2")):
        assert words[words.index(flag) + 1] == value
    assert words[1] == "mine" and words[words.index("--model") + 1] == "org/small-1B"


def _answer_all(wizard: "pexpect.spawn[str]") -> list[str]:
    """Answer until the project is to be written; the questions that were asked."""
    open_, wrong = [*TYPED, *CHOSEN, "Write the project"], dict(WRONG)
    asked: list[str] = []
    while (question := open_[wizard.expect(open_)]) != "Write the project":
        if question in wrong:
            wizard.send(wrong.pop(question) + ENTER)
            wizard.expect("! ")
            continue
        asked.append(question)
        open_.remove(question)
        if question in CHOSEN[:1]:
            wizard.send("?" + ENTER)
            wizard.expect(question)
            wizard.send(DOWN)
        wizard.send(TYPED.get(question, "") + ENTER)
    return asked
