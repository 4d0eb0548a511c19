"""--max_tokens: what is counted is what the model's chat template writes."""

import subprocess
import sys
from pathlib import Path

import msgspec
from transformers import AutoTokenizer

from rl_rollouts.data.normalise import normalise
from rollouts import calls, record, result, says, thinks, user, write
from scripts import FILTER, call


def test_rollouts_longer_than_max_tokens_are_removed(tmp_path: Path) -> None:
    records = [
        record([says("short")]),
        record([thinks("hm"), calls("c"), result("c"), says("word " * 40)], [user("called")]),
        record([says("word " * 160)], [user("long")]),
    ]
    rows = write(tmp_path / "in.jsonl", *records)
    model = tmp_path / "model"
    make = [
        sys.executable,
        "-m",
        "rl_rollouts.smoke.tiny_model",
        "--text",
        str(rows),
        "--output",
        str(model),
    ]
    subprocess.run(make, check=True, capture_output=True)
    tokenizer = AutoTokenizer.from_pretrained(model)
    lines = rows.read_bytes().splitlines(keepends=True)
    lengths = []
    for line in lines:
        rollout = normalise(line)
        messages = msgspec.json.decode(msgspec.json.encode(rollout.prompt + rollout.completion))
        lengths.append(len(tokenizer.apply_chat_template(messages)["input_ids"]))
    assert lengths == sorted(lengths) and lengths[1] < lengths[2]
    rules = f"--input {rows} --output {tmp_path / 'out.jsonl'} --tokenizer {model}"
    done = call(FILTER, tmp_path, f"{rules} --max_tokens {lengths[1]}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == lines[0] + lines[1]
    assert f"1  longer than {lengths[1]} tokens" in done.stdout


def test_what_the_chat_template_refuses_is_set_aside(tmp_path: Path) -> None:
    records = [
        record([says("yes")]),
        record([says("no")], [{"role": "system", "content": "Be brief."}, user("Is it?")]),
    ]
    rows = write(tmp_path / "in.jsonl", *records)
    model = tmp_path / "model"
    make = ["-m", "rl_rollouts.smoke.tiny_model", "--text", "in.jsonl", "--output", "model"]
    subprocess.run([sys.executable, *make], check=True, capture_output=True, cwd=tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(model)
    refusal = "{{ raise_exception('no system turns') }}"
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}" + refusal + "{% endif %}"
        "{% for each in messages %}{{ each.content }}{% endfor %}"
    )
    tokenizer.save_pretrained(model)
    rules = "--input in.jsonl --output out.jsonl --tokenizer model --max_tokens 99"
    done = call(FILTER, tmp_path, f"{rules} --max_bad_share 1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == rows.read_bytes().splitlines(True)[0]
    assert "1  the chat template of the model refuses it" in done.stdout
    assert "refuses it: no system turns" in (tmp_path / "rejected.jsonl").read_text("utf-8")
