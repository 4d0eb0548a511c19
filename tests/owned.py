"""A project's own functions: its scripts with other ones in them, and data that needs those."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import Result
from inside import small_spans
from rollouts import Json, chat, many, write
from scripts import ENVIRONMENT, FILTER, PREPARE, call

FOREIGN: list[Json | bytes] = [
    {"question": f"foreign {number // 4}", "answer": f"answer {number % 4}", "points": number % 4}
    for number in range(80)
]
"""Of a format that the library does not know."""
DATA: list[Json | bytes] = [*many(40), *FOREIGN]

OWN_RULES = '''
from rl_rollouts.data.normalise import rollout as rollout_of

def from_points(record):
    if "points" not in record:
        return None
    return rollout_of(
        prompt=record["question"], response=record["answer"], reward=record["points"] / 4
    )

def tasks(rollout):
    """Two prompts are one task; the third of them is left out."""
    number = int(rollout.prompt[0].text.split()[-1])
    rollout.task = f"pair {number // 2}"
    return None if number // 2 == 3 else rollout
'''
"""A module beside the scripts."""
READ = "from own_rules import from_points\n    return from_points(record)"
KEEP = "return not rollout.prompt[0].text.endswith('3')"
CHANGE = """from own_rules import tasks
    for message in rollout.completion:
        if message.role == 'assistant':
            message.text = message.text.upper()
    rollout.reward = 1 - rollout.reward
    rollout.ground_truth = {'of': rollout.agent}
    return tasks(rollout)"""
ROW = """

def my_row(rollout):
    return {"text": rollout.completion[-1].text, "worth": rollout.reward, "of": rollout.prompt}


def my_pair(pair):
    return {"better": pair.chosen[-1].text, "worse": pair.rejected[-1].text}


ROWS = trl.ROWS | {"sft": my_row, "preference": my_pair}
"""


def scripts(folder: Path, algorithm: str = "sft") -> Path:
    """The two scripts of a TRL project, and what makes it one."""
    folder.mkdir(exist_ok=True)
    for script in (FILTER, PREPARE):
        shutil.copy(script, folder)
    (folder / "pyproject.toml").write_text('[tool.rl-rollouts]\nframework = "trl"\n')
    (folder / "trl_config.yaml").write_text(f"algorithm: {algorithm}\nassistant_only_loss: true\n")
    return folder


def own(folder: Path, *, keep: str = "", change: str = "", read: str = "", rows: str = "") -> None:
    """Write functions into the scripts, each as what stands below its head."""
    for name, body in {"keep": keep, "change": change, "read": read}.items():
        path = folder / ("filter_rollouts.py" if name == "keep" else "prepare_for_trl.py")
        if body:
            head = re.compile(rf'(def {name}\(.*\n    """[^"]*"""\n)(?:    .*\n|\n(?=    ))+')
            text = path.read_text("utf-8")
            (found,) = head.finditer(text)
            path.write_text(f"{text[: found.end(1)]}    {body}\n{text[found.end() :]}")
    if rows:
        path = folder / "prepare_for_trl.py"
        before, rule, after = path.read_text("utf-8").partition("ROWS = trl.ROWS\n")
        assert rule
        path.write_text(before + rows.lstrip() + after)


def everything_own(folder: Path) -> None:
    (folder / "own_rules.py").write_text(OWN_RULES)
    own(folder, keep=KEEP, change=CHANGE, read=READ, rows=ROW)


def ran(folder: Path, script: Path, arguments: str = "") -> Result:
    """A script of the folder; it may fail, but never with a traceback."""
    return call(folder / script.name, folder, f"--input in.jsonl {arguments}")


def module(folder: Path, words: str) -> Result:
    """A module of the library, run in the folder; it may fail, but never with a traceback."""
    done: Result = subprocess.run(
        [sys.executable, "-m", *words.split()], cwd=folder, env=ENVIRONMENT,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def ran_in_parts(
    folder: Path, script: Path, arguments: str, python: str = "", **environment: str
) -> Result:
    """The same over many small spans."""
    words = f"--input in.jsonl --output out.jsonl {arguments}"
    command = small_spans(10_000, folder / script.name, words)
    done: Result = subprocess.run(
        [python or command[0], *command[1:]], cwd=folder, env={**ENVIRONMENT, **environment},
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def conversation(number: int, *, reward: float = 1.0) -> Json:
    """One of `DATA`'s kind that the library knows."""
    asked = {"role": "user", "content": f"question {number}"}
    said = f"answer {number}" if reward == 1 else f"worth {reward}"
    return chat(asked, {"role": "assistant", "content": said}, reward=reward)


def conversations(folder: Path, count: int = 12) -> Path:
    return write(folder / "in.jsonl", *(conversation(number) for number in range(count)))
