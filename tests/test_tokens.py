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
