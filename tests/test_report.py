"""The survey of rollouts and the page that shows it: `python -m rl_rollouts.report`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
import transformers

from conftest import Result
from rl_rollouts.errors import UserError
from rl_rollouts.report import lengths, rows
from rl_rollouts.report.page import Report, page
from rl_rollouts.report.trainer import Trainer, trainer_of
from rl_rollouts.survey import Survey
from rollouts import Json, calls, result, says, thinks, user, write
from scripts import ENVIRONMENT, FILTER, PREPARE, call
from surveyed import Read, mixed, rollout, shown, surveyed

HOSTILE = """</style></title><script>alert(1)</script><img src=x onerror='alert("2")'> & \x00"""


def report(folder: Path, arguments: str) -> Result:
    """Run the command; it may fail, but never with a traceback."""
    command = [sys.executable, "-m", "rl_rollouts.report", *arguments.split()]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


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
