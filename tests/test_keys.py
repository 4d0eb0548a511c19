"""Records whose keys have other names: `--keys prompt=problem ground_truth=solution`."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from inside import CUSTOM, inside
from projects import make, render, rows
from rl_rollouts.data.named import keys_of, renamed
from rl_rollouts.errors import Damaged, UserError
from rollouts import read, record, says, user, write
from scripts import FILTER

MATH = [{"problem": f"What is {n} + 1?", "meta": {"solution": str(n + 1)}, "id": n}
        for n in range(40)]  # fmt: skip
KEYS = "prompt=problem ground_truth=meta.solution"


def prepared(folder: Path, keys: str, kind: str, *, name: str = "in.jsonl") -> list[dict[str, Any]]:
    """The rows that filter and prepare make."""
    for script, words in (
        (FILTER, f"--input {name} --output filtered.jsonl --keys {keys}"),
        (CUSTOM, f"--input filtered.jsonl --kind {kind} --eval_share 0 --keys {keys}"),
    ):
        done = inside(script, folder, words)
        assert done.returncode == 0, done.stderr
    return read(folder / "out.jsonl")


def test_prompts_and_what_is_right_are_read_under_other_names(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *MATH)
    found = prepared(tmp_path, KEYS, "prompts")
    assert len(found) == 40
    row = next(each for each in found if each["metadata"]["id"] == 7)
    assert row["prompt"] == [{"role": "user", "content": "What is 7 + 1?"}]
    assert row["ground_truth"] == "8" and "problem" not in row["metadata"]
    lines = (tmp_path / "filtered.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == MATH, "filtered lines are copied as they are"


@pytest.mark.parametrize("form", ["array", "gzip"])
def test_also_from_files_that_are_no_plain_lines(tmp_path: Path, form: str) -> None:
    pairs = [{"q": f"q{n // 2}", "said": f"a{n}", "points": n % 2} for n in range(40)]
    text = "".join(json.dumps(each) + "\n" for each in pairs).encode()
    name = {"array": "in.json", "gzip": "in.jsonl.gz"}[form]
    content = json.dumps(pairs).encode() if form == "array" else gzip.compress(text)
    (tmp_path / name).write_bytes(content)
    keys = "prompt=q response=said reward=points"
    assert len(prepared(tmp_path, keys, "preference", name=name)) == 20
    assert len(prepared(tmp_path, keys, "sft", name=name)) == 40


def test_rollouts_of_gym_keep_all_else(tmp_path: Path) -> None:
    made = [record([says(f"a{n}")], [user(f"q{n}")], reward=None, gold=n, score=n) for n in (1, 2)]
    for each in made:
        del each["reward"]
    write(tmp_path / "in.jsonl", *made)
    found = prepared(tmp_path, "reward=score ground_truth=gold", "sft")
    assert sorted(each["reward"] for each in found) == [1, 2]


def test_two_names_can_change_places() -> None:
    keys = keys_of([("prompt", "answer"), ("answer", "prompt")])
    line = renamed(b'{"prompt": "one", "answer": "two"}', keys)
    assert json.loads(line) == {"prompt": "two", "answer": "one"}
    assert json.loads(renamed(b'{"a.b": 1, "a": {"b": 2}}', (("prompt", "a.b"),)))["prompt"] == 1


def test_a_key_that_is_not_there_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="no `solution`, which --keys ground_truth=solution names"):
        renamed(b'{"prompt": "x"}', (("ground_truth", "solution"),))
    write(tmp_path / "in.jsonl", *MATH)
    done = inside(FILTER, tmp_path, "--input in.jsonl --keys prompt=problm")
    assert done.returncode == 1 and "no `problm`, which --keys prompt=problm names" in done.stdout


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("promt=problem", "did you mean prompt?"),
        ("prompt=a prompt=b", "prompt is given twice"),
    ],
)
def test_names_that_are_not_read_are_refused(keys: str, said: str) -> None:
    with pytest.raises(UserError, match="--columns") as error:
        keys_of([(word.split("=")[0], word.split("=")[1]) for word in keys.split()])
    assert said in str(error.value)


def test_a_project_keeps_them(tmp_path: Path) -> None:
    """They are an answer, and its Makefile passes them on, whatever shell or make would read."""
    odd = [{"it's$#": each["problem"], "meta": each["meta"]} for each in MATH]
    write(tmp_path / "math.jsonl", *odd)
    keys = "prompt=it's$# ground_truth=meta.solution"
    words = ("--framework", "custom", "--algorithm", "grpo", "--rollouts", "math.jsonl")
    project = render(tmp_path, *words, "--keys", keys)
    done = make(project, "prepare")
    assert done.returncode == 0, done.stderr
    found = rows(project / "training_data.jsonl")
    assert len(found) > 30 and all(each["ground_truth"] for each in found)
    assert "keys: prompt=it's$# ground_truth=meta.solution" in (
        (project / ".copier-answers.yml").read_text("utf-8")
    )


@pytest.mark.parametrize(
    ("keys", "said"), [("problem", "name=key"), ("promt=problem", "did you mean prompt?")]
)
def test_new_refuses_what_is_not_read(scaffold: Command, keys: str, said: str) -> None:
    words = ("--framework", "custom", "--algorithm", "grpo", "--keys", keys, "--yes")
    done = scaffold("new", "p", *words)
    assert done.returncode == 2 and said in " ".join(done.stderr.split())
