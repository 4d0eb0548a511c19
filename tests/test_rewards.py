"""Ready-made rewards, the wrapper around all rewards, and the dry run on recorded rollouts."""

import json
import math
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import BASE, LIBRARY, Result
from real import FILES
from rl_rollouts.errors import UserError
from rl_rollouts.rewards import check as check_rewards
from rl_rollouts.rewards import gym as gym_reward
from rl_rollouts.rewards import ready
from rl_rollouts.rewards.checked import answer_of, load_score, reward_of
from rollouts import Json, calls, record, result, says, user, write
from scripts import ENVIRONMENT

ASKED = [{"role": "user", "content": "How many coins are that?"}]
CHECK = "rl_rollouts.rewards.check"


def earns(reward: Any, response: str, truth: Any, **options: Any) -> float:
    value = reward(ASKED, response, truth, {}, **options)
    assert isinstance(value, float)
    return value


# --- ready-made ---


@pytest.mark.parametrize(
    ("response", "truth", "options", "expected"),
    [
        ("It is 1,200.50 coins", 1200.5, {}, 1),
        ("first 3, then 12.", "12", {}, 1),
        ("12 or 13", "12", {}, 0),
        ("-5", "5", {}, 0),
        ("\N{MINUS SIGN}5", "-5", {}, 1),
        ("5-3", "3", {}, 1),
        ("1e3", 1000, {}, 1),
        ("9007199254740993", "9007199254740992", {}, 0),
        ("3.1", "3.14", {"tolerance": 0.05}, 1),
        ("3.0", "3.14", {"tolerance": 0.05}, 0),
        ("1010", "1000", {"relative": 0.02}, 1),
        ("7", [5, 7], {}, 1),
        ("no number", "5", {}, 0),
        ("5", None, {}, 0),
        ("9" * 400, "8" * 400, {"tolerance": 1}, 0),
    ],
)
def test_number_match(response: str, truth: Any, options: Json, expected: float) -> None:
    assert earns(ready.number_match, response, truth, **options) == expected


@pytest.mark.parametrize(
    ("response", "truth", "options", "expected"),
    [
        ("the answer is  Paris ", "paris", {"pattern": r"answer is (.+)"}, 1),
        ("answer is Rome. No: answer is Paris", "Paris", {"pattern": r"answer is (\w+)"}, 1),
        ("answer is paris", "Paris", {"pattern": r"answer is (\w+)", "case": True}, 0),
        ("nothing", "Paris", {"pattern": r"answer is (\w+)"}, 0),
        ("<b>x</b>", None, {"pattern": r"<b>.*</b>"}, 1),
        ("I have 12 coins", r"\b1\d\b", {}, 1),
        ("I have 12 coins", r"\b2\d\b", {}, 0),
        ("anything", None, {}, 0),
    ],
)
def test_pattern_match(response: str, truth: Any, options: Json, expected: float) -> None:
    assert earns(ready.pattern_match, response, truth, **options) == expected


@pytest.mark.parametrize(
    ("response", "truth", "expected"),
    [
        ('{"a": 1, "b": [2.0]}', {"b": [2], "a": 1.0}, 1),
        ('Here it is:\n```json\n{"a": 1}\n```\nDone.', {"a": 1}, 1),
        ('```\n{"a": 2}\n```\nor\n```json\n{"a": 1}\n```', {"a": 1}, 1),
        ('I think {not json} so {"a": {"b": 1}} it is', '{"a": {"b": 1}}', 1),
        ("[1, 2]", [2, 1], 0),
        ("[true]", [1], 0),
        ("[1]", [True], 0),
        ("null", None, 0),
        ('"12"', "12", 1),
        ("12", "12", 1),
        ("NaN", "NaN", 0),
        ("[" * 5000, [], 0),
        ("no json", {}, 0),
    ],
)
def test_json_match(response: str, truth: Any, expected: float) -> None:
    assert earns(ready.json_match, response, truth) == expected


def test_exact_match_and_the_default() -> None:
    assert earns(ready.exact_match, " Yes\n", "yes") == 1
    assert earns(ready.exact_match, "Yes", "yes", case=True) == 0
    assert earns(ready.exact_match, "b", ["a", "b"]) == 1
    assert earns(ready.exact_match, "true", True) == 1
    assert earns(ready.number_or_text, "It is 4.0", {"answer": 4}) == 1
    assert earns(ready.number_or_text, "yes", "Yes") == 1


def test_a_bad_pattern_is_an_error_with_the_place() -> None:
    with pytest.raises(UserError, match="'\\(' is no regular expression"):
        reward_of(ASKED, "x", "(", {}, ready.pattern_match)


def test_math_match_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(UserError) as caught:
        reward_of(ASKED, "1", "1", {}, ready.math_match)
    assert f"pip install '{ready.MATH_VERIFY}'" in str(caught.value)
    text = (BASE / "pyproject.toml.jinja").read_text("utf-8")
    extra = re.search(r"^math = .*$", text, re.MULTILINE)
    assert extra and tomllib.loads(extra[0])["math"] == [ready.MATH_VERIFY]


def test_math_match() -> None:
    for response, truth, expected in (
        (r"so \boxed{\frac{1}{2}}", "0.5", 1),
        ("The answer is $x = 3$.", "3", 1),
        (r"$\sqrt{4}$", "2", 1),
        ("$3$", "4", 0),
        ("no idea", "4", 0),
        ("4", None, 0),
    ):
        assert earns(ready.math_match, response, truth) == expected, response
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(earns, ready.math_match, "$1/2$", "0.5").result() == 1


# --- NeMo Gym ---


class Server:
    """A resources server that answers as told: (status, body, seconds) one after the other."""

    def __init__(self, *answers: tuple[int, Any, float]) -> None:
        self.answers = list(answers)
        self.seen: list[Json] = []
        self.paths: list[str] = []

    @contextmanager
    def running(self) -> Iterator[str]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                outer.seen.append(json.loads(self.rfile.read(size)))
                outer.paths.append(self.path)
                status, body, seconds = outer.answers[min(len(outer.seen), len(outer.answers)) - 1]
                stopped.wait(seconds)
                if status == 0:  # hang up
                    self.close_connection = True
                    return
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        stopped = threading.Event()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            stopped.set()
            server.shutdown()
            server.server_close()


def verified(url: str, facts: Json | None = None, **options: Any) -> float:
    options = {"pause": 0.001, **options}
    return gym_reward.nemo_gym(ASKED, "12 coins", "12", facts or {}, url=url, **options)


def test_verify_is_asked_again_until_it_answers() -> None:
    server = Server((500, "busy", 0), (0, "", 0), (200, {"reward": 0.25}, 0))
    with server.running() as url:
        assert verified(url) == 0.25
    assert len(server.seen) == 3 and set(server.paths) == {"/verify"}
    assert server.seen[0] == server.seen[2]


def test_verify_gets_what_nemo_gym_expects() -> None:
    """The fields of BaseVerifyRequest, and those of the task beside them."""
    server = Server((200, {"reward": 1}, 0))
    tool = {"role": "tool", "tool_call_id": "c1", "content": "seen"}
    made = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
    turn = {"role": "assistant", "content": "", "tool_calls": [made]}
    facts = {"verifier_metadata": {"deep": [1]}, "level": 3}
    with server.running() as url:
        reward = gym_reward.nemo_gym([*ASKED, turn, tool], "12", "12", facts, url=f"{url}/other/")
    (seen,) = server.seen
    assert reward == 1.0 and server.paths == ["/other/"]
    assert {key: seen[key] for key in facts} == facts and "expected_answer" not in seen
    kinds = [item["type"] for item in seen["responses_create_params"]["input"]]
    assert kinds == ["message", "function_call", "function_call_output"]
    assert seen["responses_create_params"]["input"][1]["arguments"] == '{"at": 1}'
    (message,) = seen["response"]["output"]
    assert message["role"] == "assistant" and message["content"][0]["text"] == "12"


def test_a_ground_truth_without_metadata_is_sent_as_expected_answer() -> None:
    body = gym_reward.verify_request(ASKED, "12", "12", {})
    assert body["expected_answer"] == "12"


@pytest.mark.parametrize(
    ("answer", "options", "attempts", "said"),
    [
        ((500, "no disk", 0), {"retries": 2}, 3, "3 attempts; the last: 500"),
        ((422, {"detail": "field required"}, 0), {}, 1, "refuses the request: 422"),
        ((404, "", 0), {}, 1, "404"),
        ((200, {"score": 1}, 0), {}, 1, "answered without a reward"),
        ((200, b"<html>", 0), {}, 1, "gave no reward: no JSON: <html>"),
        ((200, {"reward": 1}, 5), {"retries": 1, "timeout": 0.1}, 2, "no answer in 0.1 seconds"),
    ],
)
def test_verify_fails_clearly(
    answer: tuple[int, Any, float], options: Json, attempts: int, said: str
) -> None:
    server = Server(answer)
    with server.running() as url, pytest.raises(UserError) as caught:
        verified(url, **options)
    assert said in str(caught.value) and caught.value.exit_code == 1
    assert len(server.seen) == attempts


def test_a_server_that_is_not_there() -> None:
    with Server().running() as url:
        pass
    with pytest.raises(UserError, match="refused"):
        verified(url, retries=1)
    with pytest.raises(UserError, match="is no address"):
        verified("localhost:8000")


# --- the wrapper ---


def broken(*_: Any) -> float:
    raise KeyError("answer")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "returned None"),
        ("1.0", "returned '1.0'"),
        ([1.0], "no number"),
        (math.nan, "returned nan"),
        (-math.inf, "returned -inf"),
    ],
)
def test_a_reward_is_a_finite_number(returned: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        reward_of(ASKED, "my response", None, {}, lambda *_: returned)
    error = caught.value
    assert said in str(error) and error.exit_code == 1
    assert "How many coins" in str(error) and "my response" in str(error)


def test_a_reward_that_raises_says_where() -> None:
    with pytest.raises(UserError, match=r"KeyError: 'answer' \(test_rewards.py, line \d+\)"):
        reward_of(ASKED, "x", None, {}, broken)


@pytest.mark.parametrize("returned", [1, True, 0.5, Fraction(1, 2)])
def test_any_number_is_a_reward(returned: Any) -> None:
    reward = reward_of(ASKED, "x", None, {}, lambda *_: returned)
    assert type(reward) is float and reward == returned


def test_rewards_are_loaded_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def score(p, r, g, m, more=1): return 2\ndef few(prompt): return 1\nthing = 3\n"
    )
    (tmp_path / "torn.py").write_text("def score(:\n")
    (tmp_path / "lacks.py").write_text("import nothing_like_this\n")
    assert reward_of(ASKED, "x", None, {}, load_score("mine")) == 2
    assert load_score()(ASKED, "12", "12", {}) == 1
    for name, said in (
        ("nowhere", "no module nowhere"),
        ("mine:other", "mine has no function other"),
        ("mine:thing", "mine has no function thing"),
        ("mine:few", "does not take the arguments prompt, response"),
        ("torn", "torn cannot be imported: SyntaxError"),
        ("lacks", "nothing_like_this"),
    ):
        with pytest.raises(UserError, match=said):
            load_score(name)


def test_reasoning_is_no_part_of_the_answer() -> None:
    assert answer_of("<think>12?</think>\n\n13") == "13"
    assert answer_of("12?</think>13") == "13"
    assert answer_of("<think>12 or") == ""
    assert answer_of("plain") == "plain"


# --- the dry run ---


def checked(folder: Path, *rows: Json | bytes, more: str = "") -> Result:
    write(folder / "in.jsonl", *rows)
    return call_check(folder, f"--input in.jsonl {more}")


def call_check(folder: Path, arguments: str) -> Result:
    command = [sys.executable, "-m", CHECK, *arguments.split()]
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{folder}:{LIBRARY.parent}:{BASE}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def rollout(task: int, text: str, reward: float, agent: str = "a", **more: Any) -> Json:
    stamps = {"_ng_task_index": task, "agent_ref": {"name": agent}, "expected_answer": "12"}
    return record([says(text)], [user(f"task {task}")], reward=reward, **{**stamps, **more})


MIXED = (
    rollout(1, "12", 1.0),
    rollout(1, "13", 0.0),
    rollout(2, "12", 1.0, "b"),
    rollout(2, "twelve, 12", 0.0, "b"),
    rollout(3, "13", 1.0, "b"),
    rollout(4, "13", 0.0, "b", expected_answer=None),
)


def test_the_dry_run_compares(tmp_path: Path) -> None:
    done = checked(tmp_path, *MIXED, b"{}", more="--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["compared"], found["agree"], found["without_ground_truth"]) == (6, 4, 1)
    assert (found["mean_recorded"], found["mean_computed"]) == (0.5, 0.5)
    assert found["correlation"] == pytest.approx(1 / 3)
    solved = [found[f"solved_{key}"] for key in ("both", "recorded_only", "computed_only")]
    assert solved == [2, 1, 1] and found["solved_neither"] == 2
    assert (found["tasks_with_several_rollouts"], found["tasks_without_signal"]) == (2, 1)
    assert {name: each["agree"] for name, each in found["agents"].items()} == {"a": 2, "b": 2}
    assert len(found["worst"]) == 2 and sum(found["unusable"].values()) == 1
    shown = checked(tmp_path, *MIXED)
    for words in ("67%  agree", "recorded solved", "agent", "twelve, 12", "recorded 0, computed 1"):
        assert words in shown.stdout
    assert checked(tmp_path, *MIXED, more="--limit 2").stdout.count("\n         2  compared") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_what_the_model_wrote_last_is_scored(tmp_path: Path) -> None:
    steps = [says("13, I think"), calls("1"), result("1"), says("No, 12")]
    done = checked(tmp_path, {**MIXED[0], "response": {"output": steps}}, MIXED[1], more="--json")
    assert json.loads(done.stdout)["agree"] == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('odd')", "fails on 2 rollouts"),
        ("return 0.5", "All 2 rollouts get the reward 0.5"),
        ("return float('nan')", "fails on 2 rollouts"),
    ],
)
def test_a_useless_reward_ends_the_dry_run(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(f"def score(p, r, g, m):\n    {body}\n")
    done = checked(tmp_path, *MIXED[:2], more="--rewards mine")
    assert done.returncode == 1
    assert said in done.stderr and "mine.py" in done.stderr
    assert "compared" in done.stdout


def test_the_dry_run_refuses_bad_input(tmp_path: Path) -> None:
    assert call_check(tmp_path, "--input none.jsonl").returncode == 2
    done = checked(tmp_path, b"{}", b"no json")
    assert done.returncode == 2 and "no rollout to score" in done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_dry_run_reads_real_rollouts(file: Path) -> None:
    try:
        found = check_rewards.check([str(file)], load_score())
    except UserError as error:
        assert error.exit_code == 2
        assert re.search("no rollout to score|prompts without a response", str(error))
        return
    assert not found.failed
    assert check_rewards.in_words(check_rewards.summary(found, 0.5))
