"""`evaluate.py`: responses before and after, pass@k, LoRA weights, and reward models."""

import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

import tiny
from conftest import BASE, Result
from inside import inside
from rl_rollouts.evaluation.report import cell
from rl_rollouts.evaluation.table import pass_at_k
from rollouts import Json, read, write

pytestmark = pytest.mark.long

SCRIPT = BASE / "evaluate.py"
REWARDS = """
def digits(prompt, response, ground_truth, metadata):
    return sum(letter.isdigit() for letter in response) / max(1, len(response))

def even(prompt, response, ground_truth, metadata):
    return float(len(response) % 2 == 0)

def torn(prompt, response, ground_truth, metadata):
    return float("nan")
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: before, after, lora, judge, and one that sees little."""
    folder = tmp_path_factory.mktemp("models")
    before = tiny.build(folder / "before")
    tiny.copied(before, folder / "after")
    tiny.copied(before, folder / "short", max_position_embeddings=60)
    tiny.with_lora(before, folder / "lora")
    tiny.reward_model(before, folder / "judge")
    tiny.reward_model(before, folder / "two", labels=2)
    write(folder / "p.prompts.jsonl", *map(prompt, range(5)))
    write(folder / "p.eval.jsonl", *map(pair, range(4)))
    (folder / "my_rewards.py").write_text(REWARDS)
    return folder


def prompt(number: int) -> Json:
    asked = [{"role": "user", "content": "What do I pay? " * (1 + 10 * (number == 3))}]
    facts: Json = {"task": f"t{number}", "ground_truth": number, "metadata": {"level": number}}
    return {**facts, "prompt": asked, "tools": None}


def pair(number: int) -> Json:
    def turn(text: str) -> list[Json]:
        return [{"role": "assistant", "content": text}]

    asked = [{"role": "user", "content": f"{number} coins?"}]
    return {"prompt": asked, "chosen": turn("yes " * 9), "rejected": turn("no"), "tools": None}


@pytest.fixture
def evaluate(models: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(models)

    def call(names: str, more: str = "", *, new: int = 8) -> Result:
        (models / "out.jsonl").unlink(missing_ok=True)
        given = f"--model {names} --max_new_tokens {new} --output out.jsonl {more}"
        return inside(SCRIPT, models, f"{given} --prompts p.prompts.jsonl")

    return call


def test_a_table_compares_before_and_after(models: Path, evaluate: Any) -> None:
    done = evaluate("before after", "--rewards my_rewards:digits --json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows = read(models / "out.jsonl")
    assert [row["model"] for row in rows] == ["before"] * 5 + ["after"] * 5
    assert [row["task"] for row in rows] == [f"t{n}" for n in range(5)] * 2
    after = [row for row in rows if row["model"] == "after"]
    numbers = found["models"]["after"]
    assert numbers["mean reward"] == pytest.approx(statistics.fmean(r["reward"] for r in after))
    assert numbers["response tokens, mean"] == statistics.fmean(row["tokens"] for row in after)
    assert numbers["cut at the token limit"] == statistics.fmean(row["cut"] for row in after)
    assert all(row["cut"] == (row["tokens"] == 8) for row in rows)
    change = numbers["mean reward"] - found["models"]["before"]["mean reward"]
    assert found["change"]["mean reward"] == pytest.approx(change)
    shown = evaluate("before after").stdout
    for words in ("before      after     change", "mean reward", "pass@1", "before    before"):
        assert words in shown


def test_samples_give_pass_at_k_and_a_seed_repeats_them(models: Path, evaluate: Any) -> None:
    words = "--samples 4 --rewards my_rewards:even --json --seed"
    first = json.loads(evaluate("before", f"{words} 1").stdout)["models"]["before"]
    rows = read(models / "out.jsonl")
    assert json.loads(evaluate("before", f"{words} 1").stdout)["models"]["before"] == first
    assert read(models / "out.jsonl") == rows
    evaluate("before", f"{words} 2")
    assert read(models / "out.jsonl") != rows
    assert [(row["task"], row["sample"]) for row in rows][:5] == [
        *(("t0", n) for n in range(4)), ("t1", 0)
    ]  # fmt: skip
    assert len({row["response"] for row in rows}) > 5
    for k in range(1, 5):
        tries = [rows[at : at + 4] for at in range(0, 20, 4)]
        chances = [
            statistics.fmean(any(r["reward"] for r in some) for some in combinations(four, k))
            for four in tries
        ]
        assert first[f"pass@{k}"] == pytest.approx(statistics.fmean(chances))


def combinations(rows: list[Json], k: int) -> Any:
    return itertools.combinations(rows, k)


def test_pass_at_k_is_the_estimator_of_the_paper() -> None:
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(10, 3, 10) == 1 and pass_at_k(10, 0, 10) == 0
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7)


def test_what_one_batch_writes_does_not_depend_on_its_size(models: Path, evaluate: Any) -> None:
    written = []
    for size in (1, 5):
        evaluate("after", f"--batch_size {size}")
        written.append([row["response"] for row in read(models / "out.jsonl")])
    assert written[0] == written[1]


def test_prompts_without_room_are_skipped_in_all_models(models: Path, evaluate: Any) -> None:
    done = evaluate("before short")
    assert done.returncode == 0, done.stderr
    assert "1 prompts are skipped" in done.stdout
    assert [row["task"] for row in read(models / "out.jsonl")] == ["t0", "t1", "t2", "t4"] * 2
    none = evaluate("short", new=59)
    assert none.returncode == 2 and "No prompt fits into short: it sees 60 tokens" in none.stderr


def test_lora_weights_are_put_on_their_base(
    models: Path, evaluate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate("before lora", "--temperature 1").returncode == 0
    rows = read(models / "out.jsonl")
    assert [row["response"] for row in rows[:5]] != [row["response"] for row in rows[5:]]
    monkeypatch.setitem(sys.modules, "peft", None)
    done = evaluate("lora")
    assert done.returncode == 2 and "pip install peft" in done.stderr


def test_the_report_shows_samples_side_by_side(models: Path, evaluate: Any) -> None:
    done = evaluate("before after", "--report out.md --rewards my_rewards:digits")
    assert done.returncode == 0, done.stderr
    text = (models / "out.md").read_text("utf-8")
    assert "| mean reward |" in text and "- before: `before`" in text
    changes = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if "### " in line]
    assert len(changes) == 5 and changes == sorted(changes, key=abs, reverse=True)
    assert text.count("| before, reward") == 5
    alone = evaluate("before", "--report out.md --samples 2")
    assert alone.returncode == 0 and "| response, reward" in (models / "out.md").read_text("utf-8")


@pytest.mark.parametrize("text", ["a | b\n\nc", "<b>*x* `y`</b>", "\x1b[31mred", "- a\n# b", ""])
def test_any_response_stays_in_its_cell(text: str) -> None:
    shown = cell(text)
    assert "\n" not in shown and "\x1b" not in shown and "<b>" not in shown
    assert " | " not in shown and shown


def test_a_reward_that_fails_leaves_nothing(models: Path, evaluate: Any) -> None:
    done = evaluate("before", "--rewards my_rewards:torn --report torn.md")
    assert done.returncode == 1 and "torn returned nan" in done.stderr
    assert not (models / "out.jsonl").exists() and not (models / "torn.md").exists()
    assert not list(models.glob(".*.part"))


def test_reward_models_score_pairs(models: Path, evaluate: Any) -> None:
    done = evaluate("before judge", "--report judge.md")
    assert done.returncode == 0, done.stderr
    assert "before is left out: it has no head that scores" in done.stderr
    rows = read(models / "out.jsonl")
    assert len(rows) == 4 and {row["model"] for row in rows} == {"judge"}
    assert all(r["margin"] == pytest.approx(r["chosen_score"] - r["rejected_score"]) for r in rows)
    one = evaluate("judge", "--batch_size 1 --json")
    numbers = json.loads(one.stdout)["models"]["judge"]
    assert numbers["accuracy"] == statistics.fmean(row["margin"] > 0 for row in rows)
    alone = [row["chosen_score"] for row in read(models / "out.jsonl")]
    assert alone == pytest.approx([row["chosen_score"] for row in rows], abs=1e-5)
    assert "pairs, the most wrong first" in (models / "judge.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        ("before", "--samples 2 --temperature 0", "all samples of a prompt are the same"),
        ("before", "--samples 0", "--samples is 0"),
        ("before", "--report p.prompts.jsonl", "must be other files"),
        ("before", "--report out.jsonl", "must be other files"),
        ("before", "--rewards nowhere", "no module nowhere"),
        ("two", "", "two gives 2 scores"),
        ("judge", "--pairs p.prompts.jsonl", "rows without chosen, rejected"),
        ("judge", "--pairs none.jsonl", "make prepare"),
    ],
)
def test_bad_input_is_refused(evaluate: Any, names: str, more: str, said: str) -> None:
    done = evaluate(names, more)
    assert done.returncode == 2
    assert said in done.stderr
