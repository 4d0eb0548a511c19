"""The survey of rollouts and the page that shows it: `python -m dataprep.report`."""

import json
import math
import pickle
import random
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Result
from dataprep.errors import UserError
from dataprep.normalise import normalise
from dataprep.report import lengths, rows
from dataprep.report.page import Report, page
from dataprep.report.trainer import Trainer, trainer_of
from dataprep.survey import Summary, Survey, findings, survey, tasks
from dataprep.survey.findings import percent
from dataprep.survey.spread import Spread, spread_of
from rollouts import Json, calls, record, result, says, thinks, user, write
from scripts import ENVIRONMENT, FILTER, PREPARE, call

HOSTILE = """</style></title><script>alert(1)</script><img src=x onerror='alert("2")'> & \x00"""
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def rollout(
    task: int, reward: float, *output: Json, agent: str = "shop", tools: bool = False, **more: Any
) -> Json:
    """A rollout of a numbered task, whose prompt is the same whenever its task is."""
    made = record(
        list(output) or [says("yes")],
        [user(f"question {task}")],
        reward=reward,
        agent_ref={"name": agent},
        _ng_task_index=task,
        **more,
    )
    if tools:
        made["responses_create_params"]["tools"] = [TOOL]
    return made


def surveyed(records: list[Json], solved_from: float = 0.5) -> Survey:
    found = Survey(solved_from)
    for each in records:
        found.add(normalise(json.dumps(each).encode()))
    return found


def mixed(count: int) -> list[Json]:
    """Rollouts that differ in everything that is counted."""
    chance = random.Random(count)
    made = []
    for index in range(count):
        turn = [thinks("hm"), calls("1", chance.choice(["look", "made_up"])), result("1")]
        output = [*(turn if chance.random() < 0.5 else []), says("word " * chance.randrange(1, 99))]
        agent, reward = (
            f"agent {chance.randrange(9)}",
            chance.choice([0, 0.3, 1, chance.gauss(0, 9)]),
        )
        made.append(rollout(index // 3, reward, *output, agent=agent, tools=index % 2 == 0))
    return made


class Read(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.style = ""
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attributes
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self._words.append(data)


def shown(summary: Summary, **more: Any) -> Read:
    return Read(page(Report(summary=summary, inputs=["rollouts.jsonl"], **more)))


def report(folder: Path, arguments: str) -> Result:
    """Run the command; it may fail, but never with a traceback."""
    command = [sys.executable, "-m", "dataprep.report", *arguments.split()]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


# --- what is counted ---


def test_numbers_are_those_counted_by_hand() -> None:
    asked = [calls("1"), calls("2"), result("1"), result("2"), says("done")]
    records = [
        rollout(0, 1.0),
        rollout(0, 1.0),  # a copy
        rollout(0, 0.0, says("no")),
        rollout(1, 0.2, *asked, agent="bank", tools=True),
        rollout(1, 0.4, thinks("hm"), *asked, agent="bank", expected_answer="7"),
        rollout(2, 0.7, mask_sample=True),
        rollout(3, 0.5, agent="bank"),
        rollout(3, 1.0, says("longer"), agent="bank"),
    ]
    records[7]["response"]["incomplete_details"] = {"reason": "max_output_tokens"}
    found = surveyed(records).summary()
    assert (found.rollouts, found.read, found.solved) == (8, 8, 5)
    assert found.rewards and found.rewards.mean == pytest.approx(4.8 / 8)
    assert [(each.name, each.rollouts, each.solved) for each in found.agents] == [
        ("bank", 4, 2),
        ("shop", 4, 3),
    ]
    assert (found.tasks.count, found.tasks.differing, found.tasks.single) == (4, 3, 1)
    assert (found.tasks.never, found.tasks.sometimes, found.tasks.always) == (1, 1, 2)
    assert sum(bar.count for bar in found.tasks.pass_rates) == 4
    assert found.copies.rollouts == 1
    tool = found.tools[0]
    assert (tool.name, tool.calls, tool.rollouts, tool.unknown) == ("look", 4, 2, 1)
    marks = found.marks
    assert (marks.masked, marks.truncated, marks.reasoning) == (1, 1, 1)
    assert (marks.tools, marks.calls, marks.unknown_calls, marks.ground_truth) == (1, 2, 1, 1)
    assert found.turns and [(bar.low, bar.count) for bar in found.turns.bars] == [(1, 6), (2, 2)]
    assert found.prompt_characters and found.prompt_characters.mean == len("question 0")
    assert "3 of 4 tasks have two or more different rewards" in findings(found)[-1].text
    words = shown(found).text
    for text in (
        "solved 5 62%",
        "never solved 1 25%",
        "copies of another rollout 1",
    ):
        assert text in words
    assert re.search(r" bank Rewards of bank: [^%]* 4 \(50%\) 50% 0.2 0.4 0.525 1 ", words)


def test_what_solved_means_can_be_said() -> None:
    records = [rollout(0, 0.4), rollout(0, -3.0)]
    assert surveyed(records).summary().solved == 0
    assert surveyed(records, solved_from=-5).summary().tasks.always == 1


def test_colliding_tasks_and_shared_prompts_are_found() -> None:
    records = [rollout(0, 1), rollout(1, 1), rollout(2, 1)]
    records[1]["responses_create_params"] = records[0]["responses_create_params"]
    records.append({**rollout(2, 0), "responses_create_params": {"input": [user("another")]}})
    found = surveyed(records).summary().tasks
    assert (found.shared_prompts, found.mixed) == (1, 1)


@given(st.data())
def test_neither_order_nor_merging_matters(data: st.DataObject) -> None:
    records = mixed(60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "MOST_TASKS", data.draw(st.sampled_from([5, 1000])))
        patch.setattr(survey, "MOST_TEXTS", data.draw(st.sampled_from([5, 1000])))
        expected = surveyed(records).summary()
        order = data.draw(st.permutations(records))
        cut = data.draw(st.integers(0, len(order)))
        merged = surveyed(order[:cut])
        merged.merge(pickle.loads(pickle.dumps(surveyed(order[cut:]))))
    assert msgspec.json.encode(merged.summary()) == msgspec.json.encode(expected)


numbers = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, -0.0]), st.floats(-1e9, 1e9), st.integers(0, 99)
)


@given(st.lists(numbers, min_size=1, max_size=200), st.sampled_from(["even", "log"]))
def test_figures_are_exact_where_they_say_so(values: list[float], scale: Any) -> None:
    values = [abs(value) for value in values] if scale == "log" else values
    found = spread_of(values, scale).figures()
    assert found
    assert found.mean == float(sum(map(Fraction, values)) / len(values))
    assert (found.low, found.high) == (min(values), max(values))
    assert sum(bar.count for bar in found.bars) == found.count == len(values)
    assert len(found.bars) <= 64
    middle = sorted(values)[math.ceil(len(values) / 2) - 1]
    assert found.median == pytest.approx(middle, rel=0.006, abs=1e-6)


def test_rewards_far_off_do_not_flatten_the_rest() -> None:
    found = spread_of([*[index / 100 for index in range(100)], 1e9]).figures()
    assert found and len([bar for bar in found.bars if bar.count]) > 8
    assert found.bars[-1].high == 1e9


def test_extreme_rewards_are_counted() -> None:
    found = spread_of([1e308, -1e308, 5e-324, 1e308]).figures()
    assert found and (found.high, found.mean) == (1e308, 2.5e307)


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """More tasks, agents, tools, reasons and texts than are held are estimated, not stored."""
    monkeypatch.setattr(tasks, "MOST_TASKS", 400)
    monkeypatch.setattr(survey, "MOST_TEXTS", 400)
    found, sizes = Survey(), []
    for index in range(6000):
        said = [calls("1", f"tool {index}"), result("1"), says(f"answer {index}")]
        one = rollout(index // 2, index % 2, *said, agent=f"agent {index // 2}")
        found.add(normalise(json.dumps(one).encode()))
        found.reject(f"reason {index}")
        if index in (2999, 5999):
            sizes.append(len(pickle.dumps(found)))
    assert sizes[1] < 1.3 * sizes[0]
    summary = found.summary()
    assert summary.rollouts == summary.calls == 6000
    assert summary.tasks.share < 1
    assert summary.tasks.count == summary.tasks.differing == pytest.approx(3000, rel=0.25)
    assert sum(summary.rejected.values()) == 6000
    assert summary.other_agents == 6000 - 2 * len(summary.agents) > 0
    words = shown(summary).text
    assert "scaled up from 1 in 8" in words
    assert "other agents" in words


def test_samples_come_from_all_agents_and_both_ends() -> None:
    records = [rollout(index, index % 2, agent=f"agent {index % 3}") for index in range(300)]
    found = surveyed(records).summary().samples
    assert len(found) == 20
    sides = Counter((sample.agent, sample.solved) for sample in found)
    assert len(sides) == 6
    assert min(sides.values()) >= 3


def test_long_samples_are_shortened() -> None:
    turns = [each for n in range(40) for each in (calls(str(n)), result(str(n), "x" * 99_999))]
    found = surveyed([rollout(0, 1, *turns, says("end"))]).summary().samples[0]
    assert len(msgspec.json.encode(found)) < 40_000
    assert found.messages[-1].text.head == "end"
    words = shown(surveyed([rollout(0, 1, *turns, says("end"))]).summary()).text
    assert "messages left out" in words
    assert "98,399 characters left out" in words


# --- the page ---


def test_nothing_in_rollouts_can_break_the_page() -> None:
    said = [thinks(HOSTILE), calls("1", HOSTILE, {HOSTILE: HOSTILE}), result("1", HOSTILE)]
    one = rollout(0, 0, *said, says(HOSTILE), agent=HOSTILE)
    one["responses_create_params"]["input"] = [user(HOSTILE)]
    found = surveyed([one])
    found.reject(HOSTILE)
    plain = shown(surveyed([rollout(0, 0, thinks("a"), *said[1:], says("b"))]).summary())
    read = shown(found.summary())
    assert read.tags.keys() <= plain.tags.keys() | {"wbr"}
    assert not {"script", "img"} & read.tags.keys()
    assert read.tags["style"] == 1
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    harmless = " ".join(HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}").split())
    assert read.text.count(harmless) >= 5


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    link = "https://example.org/x.png"
    read = shown(surveyed([rollout(0, 1, says(link), agent=link)]).summary())
    assert link in read.text
    values = [value or "" for name, value in read.attributes if name not in ("aria-label",)]
    assert not [name for name, _ in read.attributes if name in ("src", "srcset", "style")]
    targets = {value for name, value in read.attributes if name == "id"}
    links = {value for name, value in read.attributes if name == "href"}
    assert links and links <= {f"#{target}" for target in targets}
    assert not [value for value in values if "//" in value]
    assert "url(" not in read.style and "@import" not in read.style
    assert any("default-src 'none'" in value for value in values)


def test_light_and_dark() -> None:
    read = shown(surveyed([rollout(0, 1)]).summary())
    dark = read.style.index("prefers-color-scheme: dark")
    colours = [
        set(re.findall(r"--([a-z]+):", part)) for part in (read.style[:dark], read.style[dark:])
    ]
    assert colours[0] - {"mono"} <= colours[1]
    assert "color-scheme: light dark" in read.style
    used = set(re.findall(r"var\(--([a-z]+)\)", read.style))
    assert used <= colours[0]


def test_charts_say_what_they_show() -> None:
    text = page(Report(summary=surveyed(mixed(90)).summary(), inputs=["x"]))
    for chart in re.findall(r'<svg class="chart".*?</svg>|<svg [^>]*role="img".*?</svg>', text):
        assert "<title>" in chart
    assert len(re.findall("<desc>rollouts by value", text)) == 4


@pytest.mark.parametrize("count", [0, 1])
def test_little_is_enough(count: int) -> None:
    found = surveyed([rollout(0, 0.25)] * count).summary()
    read = shown(found)
    assert f"rollouts {count} of {count} lines" in read.text
    if not count:
        assert "no rollout that can be used" in read.text


# --- training rows ---


def trainer(folder: Path, name: str, text: str) -> Trainer:
    path = folder / name
    path.write_text(text)
    return trainer_of(path)


@pytest.mark.parametrize(
    ("name", "text", "limit", "fate"),
    [
        ("trl_config.yaml", "max_length: 99", 99, "cut"),
        ("trl_config.yaml", "seed: 1", 1024, "cut"),
        ("custom_config.yaml", "max_length: 99", 99, "dropped"),
        ("custom_config.yaml", "max_length: 99\noverlong: cut", 99, "cut"),
        (
            "nemo_rl_config.yaml",
            "policy: {max_total_sequence_length: 99}",
            99,
            "left out of the loss",
        ),
        ("verl_config.yaml", "data: {max_length: 99, truncation: left}", 99, "cut"),
        ("openrlhf_config.yaml", "data.max_len: 99", 99, "cut"),
        ("smoke_config.yaml", "max_length: 99", 99, "cut or dropped"),
        ("other.yaml", "seed: 1", None, ""),
    ],
)
def test_the_limit_is_that_of_the_config(
    tmp_path: Path, name: str, text: str, limit: int | None, fate: str
) -> None:
    found = trainer(tmp_path, name, text)
    assert (found.limit, found.fate) == (limit, fate)


def test_long_rows_are_counted(tmp_path: Path) -> None:
    """Without a tokenizer, four characters of the row count as a token."""
    ask: Json = {"role": "user", "content": "hi"}
    long = "x" * 4000
    made: list[Json] = [
        {"prompt": [ask], "completion": [{"role": "assistant", "content": "yes"}]},
        {"prompt": [ask], "completion": [{"role": "assistant", "content": long}]},
        {"prompt": [{**ask, "content": long}], "chosen": [ask], "rejected": [ask]},
        {"messages": [{**ask, "content": long}]},
        {"prompt": "text", "response": long},
    ]
    data = write(tmp_path / "data.jsonl", *made)
    found = lengths.measure([data], trainer(tmp_path, "trl_config.yaml", "max_length: 1000"))
    assert (found.rows, found.long, found.full, found.tokenizer) == (5, 4, 1, None)
    words = shown(surveyed([rollout(0, 1)]).summary(), lengths=found).text
    assert "About 4 of 5 training rows (80%) are above max_length = 1,000 tokens" in words
    assert "Estimated: 4 characters count as a token." in words


def test_of_many_rows_a_sample_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SAMPLE", 50)
    made = [{"prompt": "x" * 400 * (n % 2), "completion": str(n)} for n in range(1000)]
    limited = trainer(tmp_path, "custom_config.yaml", "max_length: 50")
    found = lengths.measure([write(tmp_path / "data.jsonl", *made)], limited)
    assert lengths.measure([write(tmp_path / "data.jsonl", *made[::-1])], limited) == found
    assert (found.rows, found.measured) == (1000, 50)
    assert found.long == pytest.approx(500, abs=250)
    assert "A sample of 50 of 1,000 rows" in shown(Survey().summary(), lengths=found).text


def test_the_tokenizer_of_the_project_is_used(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "?": 1}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    made.chat_template = "{% for m in messages %}{{ m.content + ' ' }}{% endfor %}"
    made.save_pretrained(tmp_path / "model")
    config = f"max_length: 4\nmodel_name_or_path: {tmp_path / 'model'}"
    answers = ["a", "a a a", "a a a a"]
    data = write(
        tmp_path / "data.jsonl", *({"prompt": "a", "completion": text} for text in answers)
    )
    found = lengths.measure([data], trainer(tmp_path, "trl_config.yaml", config))
    assert found.tokens and (found.tokens.low, found.tokens.high) == (2, 5)
    assert (found.long, found.exact) == (1, True)


# --- the command ---


def test_from_rollouts_to_a_page(tmp_path: Path, config: Path) -> None:
    made = [rollout(index // 4, index % 4 / 3) for index in range(40)]
    write(tmp_path / "in.jsonl", *made, {"reward": HOSTILE}, b'{"reward": 1, "cut')
    call(
        FILTER, tmp_path, "--input in.jsonl --output kept.jsonl --min_reward 0.6 --max_bad_share 1"
    )
    call(PREPARE, tmp_path, "--input kept.jsonl --output rows.jsonl")
    manifests = "--manifests kept.manifest.json rows.manifest.json --data rows.jsonl"
    arguments = f"--rollouts in.jsonl {manifests} --config {config.name} --output page.html"
    done = report(tmp_path, arguments)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text("utf-8")
    read = Read(text)
    kept = json.loads((tmp_path / "kept.manifest.json").read_text("utf-8"))
    assert "rollouts 40 of 42 lines" in read.text
    assert "20 reward below 0.6" in " ".join(done.stdout.split())
    assert re.search(r"reward below 0.6 removed 20 48%", read.text)
    assert kept["inputs"][0]["checksum"] in read.text
    trained = json.loads((tmp_path / "rows.manifest.json").read_text("utf-8"))["counts"]
    assert f"training rows {trained['training rows']}" in read.text
    assert "not accounted for" not in read.text
    assert report(tmp_path, arguments).returncode == 0
    assert (tmp_path / "page.html").read_text("utf-8") == text


def test_a_manifest_of_strange_reasons(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", rollout(0, 1))
    call(FILTER, tmp_path, "--input in.jsonl --output kept.jsonl")
    path = tmp_path / "kept.manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["counts"] = {"read": 9, "lost": {HOSTILE: 3}, "kept": 1, "something new": 2}
    manifest["options"] = {HOSTILE: HOSTILE}
    path.write_text(json.dumps(manifest), "utf-8")
    done = report(tmp_path, "--rollouts in.jsonl --manifests kept.manifest.json")
    assert done.returncode == 0, done.stderr
    read = Read((tmp_path / "report.html").read_text("utf-8"))
    assert "script" not in read.tags
    assert "not accounted for 5" in read.text
    assert "something new 2" in read.text
    assert "\x00" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--rollouts in.jsonl --manifests none.json", "Cannot read none.json"),
        ("--rollouts none.jsonl", "There is no none.jsonl"),
        ("--rollouts in.jsonl --config none.yaml", "Cannot read none.yaml"),
        ("--rollouts in.jsonl --data none.jsonl", "Cannot read none.jsonl"),
        ("--rollouts in.jsonl --data bad.jsonl", "no JSON object"),
        ("--rollouts in.jsonl --output in.jsonl", "no name of a web page"),
        ("--rollouts in.jsonl --data old.html --output old.html", "one of the inputs"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    tmp_path: Path, arguments: str, words: str
) -> None:
    write(tmp_path / "in.jsonl", rollout(0, 1))
    write(tmp_path / "bad.jsonl", b"[1]")
    write(tmp_path / "old.html", b"{}")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = report(tmp_path, arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_config_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no mapping"):
        trainer(tmp_path, "trl_config.yaml", "- 1")


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 9, "0%"), (9, 9, "100%"), (1, 5000, "<0.1%"), (4999, 5000, ">99.9%"), (1, 3, "33%")],
)
def test_shares_do_not_claim_more_than_is_so(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words


def test_merging_an_empty_spread_changes_nothing() -> None:
    one = spread_of([1.0, 2.0])
    one.merge(Spread())
    assert one.figures() == spread_of([2.0, 1.0]).figures()
