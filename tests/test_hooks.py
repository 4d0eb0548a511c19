"""A project's own functions: keep, change, read and rows of its own."""

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import BASE
from inside import left_behind, outputs, small_spans, started
from owned import (
    DATA,
    FOREIGN,
    OWN_RULES,
    READ,
    conversation,
    conversations,
    everything_own,
    module,
    own,
    ran,
    ran_in_parts,
    scripts,
)
from projects import render
from rl_rollouts.data.normalise import normalise
from rl_rollouts.data.rollout import Rollout
from rollouts import chat, read, write
from scripts import FILTER, PREPARE, counts, old_outputs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return scripts(tmp_path)


# --- what each does ---


def test_keep_counts_like_a_rule(project: Path) -> None:
    conversations(project)
    own(project, keep="return 'question 1' not in rollout.prompt[0].text")
    found = counts(project, ran(project, FILTER))
    assert found["removed"] == {"left out by keep": 3}  # 1, 10 and 11
    assert found["kept"] == 9 == len(read(project / "out.jsonl"))


def test_keep_sees_what_the_rules_leave(project: Path) -> None:
    write(project / "in.jsonl", *(conversation(n, reward=n / 10) for n in range(10)))
    own(project, keep="assert rollout.reward >= 0.5\n    return rollout.reward > 0.75")
    found = counts(project, ran(project, FILTER, "--min_reward 0.5"))
    assert found["removed"] == {"reward below 0.5": 5, "left out by keep": 3}


def test_keep_asks_for_facts_and_truth_in_plain_values(project: Path) -> None:
    rows = [
        {**conversation(n), "level": ["easy", "hard"][n % 2], "answer": {"is": n}} for n in (0, 1)
    ]
    write(project / "in.jsonl", *rows, {**conversation(3), "ground_truth": [3]})
    own(project, keep="return rollout.fact('level') == 'hard' or rollout.truth == [3]")
    assert counts(project, ran(project, FILTER))["kept"] == 2


def test_change_leaves_out_and_counts(project: Path) -> None:
    conversations(project)
    own(project, change="return rollout if '1' in rollout.prompt[0].text else None")
    found = counts(project, ran(project, PREPARE, "--eval_share 0"))
    assert found["removed"] == {"left out by change": 9}
    assert found["rollouts"] == 3 == len(read(project / "out.jsonl"))


def test_rows_split_and_prompts_follow_the_changed_rollout(project: Path) -> None:
    """Edited in place, with plain values; four rollouts are one task each."""
    conversations(project, 40)
    body = """number = int(rollout.prompt[0].text.split()[-1])
    rollout.completion[-1].text = rollout.completion[-1].text.upper()
    rollout.prompt[-1].content = f'plain {number % 10}'
    rollout.task = f'task {number % 10}'
    rollout.ground_truth = {'is': number % 10}
    rollout.metadata['level'] = 'hard'
    return rollout"""
    own(project, change=body)
    found = counts(project, ran(project, PREPARE, "--eval_share 0.4"))
    prompts = read(project / "out.prompts.jsonl")
    assert found["tasks"] == 10 and 0 < len(prompts) < 10
    assert found["held-out rows"] == 4 * len(prompts)
    for prompt in prompts:
        number = int(prompt["task"].removeprefix("task "))
        assert (prompt["ground_truth"], prompt["metadata"]) == ({"is": number}, {"level": "hard"})
    rows = read(project / "out.jsonl") + read(project / "out.eval.jsonl")
    (first,) = [row for row in rows if row["completion"][0]["content"] == "ANSWER 13"]
    assert first["prompt"] == [{"role": "user", "content": "plain 3"}]


def test_change_drops_messages(project: Path) -> None:
    turns = [
        {"role": role, "content": f"{role} {n}"} for n in (0, 1) for role in ("user", "assistant")
    ]
    write(project / "in.jsonl", chat(*turns), chat(*turns[:2]))
    own(project, change="del rollout.completion[1:]\n    return rollout")
    counts(project, ran(project, PREPARE, "--eval_share 0"))
    assert {json.dumps(row["completion"]) for row in read(project / "out.jsonl")} == {
        '[{"role": "assistant", "content": "assistant 0"}]'
    }


def test_rules_of_prepare_see_the_changed_reward(project: Path) -> None:
    write(project / "in.jsonl", *(conversation(n, reward=n) for n in range(10)))
    own(project, change="rollout.reward = rollout.reward / 10\n    return rollout")
    found = counts(project, ran(project, PREPARE, "--min_reward 0.5 --eval_share 0"))
    assert found["removed"] == {"reward below 0.5": 5}


def test_pairs_are_of_changed_rollouts(project: Path) -> None:
    """Lines are read again for pairs: the better one is what it became by then."""
    rows = [
        chat({"role": "user", "content": "q"}, {"role": "assistant", "content": f"a{n}"}, reward=n)
        for n in range(3)
    ]
    write(project / "in.jsonl", *rows)
    body = """rollout.reward = -rollout.reward
    rollout.completion[0].text += '!'
    return rollout if rollout.reward > -2 else None"""
    own(project, change=body)
    found = counts(project, ran(project, PREPARE, "--kind preference --eval_share 0"))
    assert found["removed"] == {"left out by change": 1}
    (pair,) = read(project / "out.jsonl")
    assert [pair[side][0]["content"] for side in ("chosen", "rejected")] == ["a0!", "a1!"]


def test_a_foreign_format_passes_filter_and_prepare(project: Path) -> None:
    """Filtering finds `read` in the project's prepare_for_trl.py, and copies lines as they are."""
    (project / "own_rules.py").write_text(OWN_RULES)
    write(project / "in.jsonl", *FOREIGN, {"nothing": 1})
    without = ran(project, FILTER)
    assert without.returncode == 1 and "1  it is in no form that is known" in without.stdout
    own(project, read=READ)
    found = counts(project, ran(project, FILTER, "--min_reward 0.5 --max_bad_share 0.1"))
    assert found["removed"] == {"reward below 0.5": 40} and found["rejected"] == {
        "it is in no form that is known": 1
    }
    (project / "out.jsonl").rename(project / "in.jsonl")
    found = counts(project, ran(project, PREPARE, "--kind preference --eval_share 0.3"))
    assert found["training rows"] + found["held-out rows"] == 20 == found["tasks"]
    assert {row["chosen"][0]["content"] for row in read(project / "out.jsonl")} == {"answer 3"}
    assert all(
        row["prompt"][0]["content"].startswith("foreign")
        for row in read(project / "out.prompts.jsonl")
    )


def test_rewards_and_report_read_a_foreign_format_too(project: Path) -> None:
    (project / "own_rules.py").write_text(OWN_RULES)
    (project / "rewards.py").write_text(
        "def score(prompt, response, ground_truth, metadata):\n    return int(response[-1]) / 4\n"
    )
    write(project / "in.jsonl", *FOREIGN)
    own(project, read=READ)
    checked = module(project, "rl_rollouts.rewards.check --input in.jsonl")
    assert checked.returncode == 0, checked.stderr
    assert "100%  agree with the recorded reward" in checked.stdout
    report = module(project, "rl_rollouts.report --rollouts in.jsonl --output report.html")
    assert report.returncode == 0, report.stderr
    assert "80" in report.stdout and "no reward" not in report.stdout
    assert "foreign 1" in (project / "report.html").read_text("utf-8")


# --- rows ---


def test_own_rows_are_dicts_or_structs(project: Path) -> None:
    conversations(project, 2)
    own(project, rows="""
import msgspec


class Mine(msgspec.Struct):
    text: str


def my_row(rollout):
    text = rollout.completion[-1].text
    return Mine(text) if "0" in text else {"text": text, "tools": rollout.tools}


ROWS = trl.ROWS | {"sft": my_row}
""")  # fmt: skip
    counts(project, ran(project, PREPARE, "--eval_share 0"))
    rows = [{"text": "answer 0"}, {"text": "answer 1", "tools": None}]
    assert read(project / "out.jsonl") == rows


CHATS = """
def my_row(rollout):
    return {"messages": rollout.prompt + rollout.completion, "plain": [PLAIN]}


PLAIN = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}
ROWS = trl.ROWS | {"sft": my_row}
"""


def test_arguments_are_text_in_own_rows_too(project: Path) -> None:
    function = {"name": "look", "arguments": '{"at": 1}'}
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    answer = {"role": "tool", "tool_call_id": "1", "content": "seen"}
    write(project / "in.jsonl", chat({"role": "user", "content": "q"}, called, answer))
    own(project, rows=CHATS)
    for option, expected in (("object", [{"at": 1}, {"a": 1}]), ("text", ['{"at":1}', '{"a":1}'])):
        counts(project, ran(project, PREPARE, f"--eval_share 0 --arguments {option}"))
        (row,) = read(project / "out.jsonl")
        messages = [row["messages"][1], row["plain"][0]]
        found = [each["tool_calls"][0]["function"]["arguments"] for each in messages]
        assert found == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--output out.parquet", "sft rows are made by my_row, whose columns are not known, and"),
        ("--columns messages=chat", "--columns: sft rows are made by my_row"),
    ],
)
def test_what_needs_to_know_the_columns_is_refused(
    project: Path, arguments: str, said: str
) -> None:
    conversations(project, 2)
    own(project, rows=CHATS)
    done = ran(project, PREPARE, arguments)
    assert done.returncode == 2 and said in done.stderr
    # Kinds whose rows are the framework's have both.
    assert ran(project, PREPARE, f"{arguments} --kind prompts").stderr.count("made by") == 0


def test_a_function_that_other_processes_cannot_have_is_refused_at_once(project: Path) -> None:
    """Not only for inputs that are large enough for several of them."""
    conversations(project, 2)
    own(project, rows='ROWS = trl.ROWS | {"sft": lambda rollout: {"text": "x"}}\n')
    done = ran(project, PREPARE)
    assert done.returncode == 2 and "<lambda> cannot be sent" in done.stderr
    assert "def my_row(rollout)" in done.stderr


# --- one process, several, Ray ---

JOBS = {
    "filter": (FILTER, "--max_per_task 3"),
    "sft": (PREPARE, "--eval_share 0.3"),
    "preference": (PREPARE, "--eval_share 0.3 --kind preference --pairs all"),
}


@pytest.mark.parametrize("way", ["workers", pytest.param("ray", marks=pytest.mark.long)])
@pytest.mark.parametrize("job", JOBS)
def test_the_same_bytes_however_it_is_done(
    tmp_path: Path, job: str, way: str, request: pytest.FixtureRequest
) -> None:
    """With functions of the script and of a module beside it."""
    script, options = JOBS[job]
    options += " --max_bad_share 1"
    project = scripts(tmp_path / "project")
    everything_own(project)
    write(project / "in.jsonl", *DATA)
    expected = counts(project, ran(project, script, options + " --workers 1"))
    hook = "keep" if script is FILTER else "change"
    assert expected["removed"][f"left out by {hook}"] > 5
    files = {**outputs(project, ordered=True), "": (project / "out.manifest.json").read_bytes()}
    for old in project.glob("out.*"):
        old.unlink()
    if way == "ray":
        python = request.getfixturevalue("ray_python")
        ray = {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
        done = ran_in_parts(project, script, options + " --engine ray", python, **ray)
    else:
        done = ran_in_parts(project, script, options + " --workers 3")
    assert counts(project, done) == expected
    again = {**outputs(project, ordered=True), "": (project / "out.manifest.json").read_bytes()}
    assert again == files and not left_behind(project)


# --- what goes wrong ---

EDIT = "change", "rollout.{}\n    return rollout"
BAD = {
    "raises": ("change", "return {}[rollout.prompt[0].text]", "raised KeyError: 'question 0'"),
    "exits": ("change", "raise SystemExit(3)", "change raised SystemExit: 3"),
    "a library": ("change", "import json\n    json.loads('{')", "change raised JSONDecodeError"),
    "no rollout": ("change", "return rollout.prompt", "neither a Rollout nor None"),
    "no reward": (*EDIT, "reward = 'high'", "whose reward is 'high'"),
    "not finite": (*EDIT, "reward += 1e999", "whose reward is inf"),
    "no task": (*EDIT, "task = 5", "whose task is 5, not text"),
    "no prompt": (*EDIT, "prompt = []", "whose prompt is empty"),
    "no list": (*EDIT, "prompt = 'question'", "whose prompt is 'question', not a list"),
    "no turn": (*EDIT, "completion = rollout.prompt", "does not begin with the model's turn"),
    "no message": (*EDIT, "prompt = ['x']", "'x' among its messages, which is no Message"),
    "no text": (*EDIT, "prompt[0].content = 7", "content is 7, not text"),
    "no role": (*EDIT, "prompt[0].role = 'bot'", "role 'bot', not assistant, system, tool, user"),
    "no call": (*EDIT, "completion[0].tool_calls = [{}]", "not all of the type ToolCall"),
    "no JSON": (*EDIT, "ground_truth = print", "with a value that is no JSON"),
    "turns": (*EDIT, "turn_rewards = [1, 2]", "with 2 turn_rewards for 1 turns of the model"),
    "read raises": ("read", "return record['answer']", "read raised KeyError: 'answer'"),
    "read gives none": ("read", "return {'prompt': 1}", "read returned {'prompt': 1}"),
    "keep raises": ("keep", "return 1 / 0", "keep raised ZeroDivisionError"),
    "keep forgets": ("keep", "rollout.reward", "keep returned None, which is neither"),
    "row raises": ("rows", "return rollout.texts", "my_row raised AttributeError"),
    "row forgets": ("rows", "rollout.reward", "my_row returned None, which is no dict"),
    "row is no JSON": ("rows", "return {'of': print}", "my_row returned a row that is no JSON"),
    "pair raises": ("pairs", "return rollout.texts", "my_row raised AttributeError"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_said_with_its_place_and_nothing_changes(project: Path, case: str) -> None:
    hook, *edit, said = BAD[case]
    body = edit[0].format(*edit[1:]) if edit[1:] else edit[0]
    lines = [conversation(number // 2, reward=number % 2) for number in range(6)]
    write(project / "in.jsonl", b"", {"other": 1} if hook == "read" else b"", *lines)
    if kind := {"rows": "sft", "pairs": "preference"}.get(hook):
        own(project, rows=f'def my_row(rollout):\n    {body}\n\n\nROWS = {{"{kind}": my_row}}\n')
    else:
        own(project, **{hook: body})
    before = old_outputs(project)
    script = FILTER if hook == "keep" else PREPARE
    more = "--kind preference" if hook == "pairs" else ""
    done = ran(project, script, f"--max_bad_share 1 {more}")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    name = "my_row" if hook in ("rows", "pairs") else hook
    place = standing(project / script.name, f"def {name}(" if "returned" in done.stderr else body)
    assert f"({script.name}, line {place}), on line " in done.stderr, done.stderr
    # Pairs come in no order of the input; of each the better one is named.
    line = {"read": "2", "pairs": "[468]"}.get(hook, "3")
    assert re.search(rf"on line {line} of in\.jsonl\.$", done.stderr, re.MULTILINE)
    assert "no output was changed" in done.stderr
    left = {name: text for name, text in before.items() if not name.startswith(".")}
    assert all((project / name).read_bytes() == text for name, text in left.items())
    assert not left_behind(project)


def standing(script: Path, text: str) -> int:
    """The number of the line that begins as the last one of a text."""
    lines, last = script.read_text("utf-8").splitlines(), text.splitlines()[-1].strip()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(last))


@pytest.mark.parametrize("packed", [False, True])
def test_the_line_is_that_of_the_file_also_in_a_later_part(tmp_path: Path, packed: bool) -> None:
    """Also where several processes read, and in compressed files."""
    project = scripts(tmp_path)
    rows = [json.dumps(conversation(number)).encode() + b"\n\n" for number in range(900)]
    name = "in.jsonl.gz" if packed else "in.jsonl"
    (project / name).write_bytes(gzip.compress(b"".join(rows)) if packed else b"".join(rows))
    body = "assert rollout.prompt[0].text != 'question 700', 'no'\n    return True"
    own(project, keep=body)
    command = small_spans(
        10_000, project / FILTER.name, f"--input {name} --output out.jsonl --workers 2"
    )
    process = started(command, project)
    _, error = process.communicate()
    assert process.returncode == 1 and "Traceback" not in error
    assert "keep raised AssertionError: no (filter_rollouts.py, line " in error
    assert f"on line 1401 of {name}" in error


@pytest.mark.long
def test_a_fault_is_said_by_ray_too(project: Path, request: pytest.FixtureRequest) -> None:
    conversations(project)
    own(project, keep="return 1 / 0")
    ray = {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    python = request.getfixturevalue("ray_python")
    done = ran_in_parts(project, FILTER, "--engine ray", python, **ray)
    assert done.returncode == 1
    assert (
        "keep raised ZeroDivisionError: division by zero (filter_rollouts.py, line" in done.stderr
    )
    assert "on line 1 of in.jsonl" in done.stderr


def test_what_a_function_raises_for_the_user_is_left_as_it_is(project: Path) -> None:
    conversations(project, 40)
    body = """from rl_rollouts.errors import SetAside, Unusable, UserError
    if rollout.prompt[0].text.endswith("3"):
        raise Unusable("threes are odd: really")
    if rollout.prompt[0].text.endswith("4"):
        raise SetAside("fours are even")
    return rollout"""
    own(project, change=body)
    found = counts(project, ran(project, PREPARE, "--eval_share 0"))
    assert found["set aside"] == {"threes are odd": 4, "fours are even": 4}
    assert "threes are odd: really" in {row["reason"] for row in read(project / "rejected.jsonl")}
    (project / PREPARE.name).write_text(
        (project / PREPARE.name).read_text().replace("raise SetAside(", "raise UserError('a', ")
    )
    done = ran(project, PREPARE)
    assert done.returncode == 2 and done.stderr.endswith("error: a\nfours are even\n")


def test_a_script_that_cannot_be_imported_is_named(project: Path) -> None:
    conversations(project)
    path = project / PREPARE.name
    path.write_text(path.read_text("utf-8") + "\nnowhere\n")
    done = ran(project, FILTER)
    assert done.returncode == 1
    place = len(path.read_text("utf-8").splitlines())
    assert "prepare_for_trl.py cannot be imported: NameError" in done.stderr
    assert f"(line {place})" in done.stderr


def test_images_of_a_foreign_format_are_set_aside_like_others(project: Path) -> None:
    write(project / "in.jsonl", {"picture": "a.png"}, conversation(1))
    own(project, read="""from rl_rollouts.data.normalise import rollout as of
    image = {"type": "image_url", "image_url": {"url": record["picture"]}}
    return of(messages=[{"role": "user", "content": [image]},
                        {"role": "assistant", "content": "a cat"}], reward=1)""")  # fmt: skip
    found = counts(project, ran(project, PREPARE, "--eval_share 0"))
    assert list(found["set aside"].values()) == [1] and found["rollouts"] == 1
    found = counts(project, ran(project, PREPARE, "--eval_share 0 --images keep"))
    assert found["rollouts"] == 2


def test_tokens_of_what_was_changed_are_not_claimed(tmp_path: Path) -> None:
    from rl_rollouts.data.hooks import Hooks, change
    from rl_rollouts.data.rollout import Rollout, Tokens, message

    def rollout() -> Rollout:
        tokens = [Tokens([1], [2], [-0.5])]
        asked, said = [message("user", "q")], [message("assistant", "a")]
        return Rollout(1.0, prompt=asked, completion=said, task="t", turn_tokens=tokens)

    def louder(given: Rollout) -> Rollout:
        given.completion[0].text += "!"
        return given

    def worth_less(given: Rollout) -> Rollout:
        given.reward = 0.5
        return given

    changed = [change(rollout(), Hooks(change=each)) for each in (louder, worth_less)]
    assert [each.turn_tokens is None for each in changed if each] == [True, False]


# --- runs that were stopped ---


def test_a_stopped_run_goes_on_only_with_the_same_functions(tmp_path: Path) -> None:
    """Those of the scripts, and those of a module that a function imports when it is called."""
    project = scripts(tmp_path)
    everything_own(project)
    write(project / "in.jsonl", *DATA)
    with (project / "own_rules.py").open("a") as file:
        file.write("\n\n" + STOPS)
    own(project, change="from own_rules import slowly\n    return slowly(rollout)")
    arguments = "--input in.jsonl --output out.jsonl --eval_share 0.3 --max_bad_share 1 --workers 1"
    command = small_spans(10_000, project / PREPARE.name, arguments)
    edits = {
        "nothing": (PREPARE.name, "", ""),
        "a function": (PREPARE.name, "return slowly(rollout)", "return  slowly(rollout)"),
        "rows": (PREPARE.name, '"worth"', '"value"'),
        "a module": ("own_rules.py", "0.0", "0.00"),
    }
    for name, (script, old, new) in edits.items():
        (project / "stop").touch()
        (project / "seen").write_text("")
        process = started(command, project)
        while len(seen(project)) < 100:
            time.sleep(0.01)
            assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        (project / "stop").unlink()
        assert len(list(project.glob(".out.jsonl.work/*/done.json"))) > 1
        text = (project / script).read_text("utf-8")
        (project / script).write_text(text.replace(old, new) if old else text)
        assert not old or (project / script).read_text("utf-8") != text
        begun = len(seen(project))
        done = started(command, project)
        assert done.wait() == 0, done.communicate()
        again = len(seen(project)) - begun
        whole = len(DATA) - 3
        assert again < whole - 20 if name == "nothing" else again > whole - 10, (name, again)
        assert not left_behind(project)


def seen(project: Path) -> str:
    return (project / "seen").read_text("utf-8")


STOPS = """
def slowly(rollout):
    import pathlib
    import time

    with pathlib.Path("seen").open("a") as file:
        file.write("x")
    if pathlib.Path("stop").exists() and len(pathlib.Path("seen").read_text()) >= 100:
        time.sleep(60)
    return rollout if 0.0 <= rollout.reward else None
"""


# --- the README's examples ---


def examples(readme: Path) -> dict[str, str]:
    """The Python blocks of a README by the function that they show."""
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    return {block.partition("def ")[2].partition("(")[0]: block.strip() for block in blocks}


def test_the_examples_of_the_readme_take_prompts_without_an_answer() -> None:
    shown = examples(BASE / "README.md.jinja")
    names: dict[str, Any] = {"Rollout": Rollout}
    for name in ("keep", "change"):
        exec(shown[name], names)
    asked = normalise(b'{"prompt": "What is 2 + 2?", "ground_truth": "4"}')
    assert asked.reward is None and not asked.completion
    assert names["keep"](asked) is True
    changed = names["change"](asked)
    assert changed.reward is None and changed.prompt[-1].text.endswith("one sentence.")


@pytest.mark.parametrize(
    ("framework", "algorithm"),
    [("trl", "dpo"), ("trl", "kto"), ("verl", "grpo"), ("verl", "sft"), ("custom", "sft")],
)
def test_the_examples_of_the_readme_run(tmp_path: Path, framework: str, algorithm: str) -> None:
    project = render(tmp_path, "--framework", framework, "--algorithm", algorithm)
    shown, prepare = examples(project / "README.md"), f"prepare_for_{framework}.py"
    assert list(shown) == ["keep", "change", "read", "my_row"]
    for name, block in shown.items():
        paste(project / (FILTER.name if name == "keep" else prepare), name, block, framework)
    write(
        project / "in.jsonl",
        *({"asked": f"q{n // 2}", "said": f"a{n}", "points": 5 + n % 2 * 9} for n in range(40)),
        *({**conversation(n), "difficulty": "easy"} for n in range(3)),
        {"asked": "q", "said": "sorry", "points": 1},
        chat(*[{"role": side, "content": "x"} for side in ("user", "assistant") * 30]),
    )
    found = counts(project, ran(project, FILTER))
    assert found["removed"] == {"left out by keep": 4} and found["kept"] == 41
    (project / "out.jsonl").rename(project / "in.jsonl")
    found = counts(project, ran(project, Path(prepare), "--eval_share 0.3"))
    assert found["removed"] == {"left out by change": 1}
    text = (project / "out.jsonl").read_text("utf-8")
    assert "Answer in one sentence." in text
    if "chosen" in text:  # the rewards of a pair are no part of what TRL reads
        assert found["training rows"] + found["held-out rows"] == 20


def paste(script: Path, name: str, block: str, framework: str) -> None:
    """Put a block where its function stands, or rows where the script has the library's."""
    old = rf"ROWS = {framework}\.ROWS\n" if name == "my_row" else rf"def {name}\(.*?\n(?=\n\n)"
    text, found = re.subn(old, lambda _: f"{block}\n", script.read_text("utf-8"), flags=re.DOTALL)
    assert found == 1, name
    script.write_text(text)
