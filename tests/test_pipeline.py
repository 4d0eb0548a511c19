"""From files to files: `filter_rollouts.py` and `prepare_for_trl.py` as a person runs them."""

import gzip
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataprep.errors import UserError
from dataprep.filter import Rules
from dataprep.pipeline import Options, filter_rollouts, prepare
from dataprep.read import BOM, GZIP, ZSTD
from dataprep.rollout import prompt_completion
from rollouts import calls, read, record, says, write
from scripts import (
    ENVIRONMENT,
    FILTER,
    LINES,
    PREPARE,
    Files,
    both_scripts,
    call,
    counts,
    everything,
    line,
    old_outputs,
    total,
)

pytestmark = pytest.mark.usefixtures("config")

# --- reading ---

zstd = zstandard.ZstdCompressor().compress
PLAIN = b"".join(each + b"\n" for each in LINES)
HALVES = PLAIN[: len(PLAIN) // 3], PLAIN[len(PLAIN) // 3 :]
REST = b"\n".join(LINES[1:])


@pytest.mark.parametrize(
    ("files", "inputs"),
    [
        ({"a.jsonl": PLAIN}, "a.jsonl"),
        ({"a.jsonl": PLAIN.removesuffix(b"\n")}, "a.jsonl"),
        ({"a.jsonl": BOM + PLAIN.replace(b"\n", b"\r\n\r\n \n")}, "a.jsonl"),
        ({"a.jsonl.gz": gzip.compress(PLAIN)}, "a.jsonl.gz"),
        ({"a.jsonl.gz": b"".join(map(gzip.compress, HALVES))}, "a.jsonl.gz"),
        ({"a.jsonl.zst": zstd(PLAIN)}, "a.jsonl.zst"),
        ({"a.jsonl.zst": b"".join(map(zstd, HALVES))}, "a.jsonl.zst"),
        ({"misnamed.jsonl": zstd(PLAIN)}, "misnamed.jsonl"),
        ({"a.txt": LINES[0], "b.jsonl": REST}, "a.txt b.jsonl"),
        ({"d/a.jsonl": LINES[0], "d/e/b.jsonl.gz": gzip.compress(REST)}, "d"),
        ({"d/a.jsonl": PLAIN, "d/.b.jsonl": PLAIN, "d/.c.part/d.jsonl": PLAIN}, "d"),
        ({"d/a.jsonl": PLAIN, "d/notes.md": b"-", "d/f.jsonl/x": b"-"}, "d d/a.jsonl d"),
        ({"stdin": PLAIN}, "-"),
        ({"stdin": gzip.compress(PLAIN)}, "-"),
        ({"stdin": PLAIN}, "/dev/stdin"),
    ],
)
def test_same_output_however_rollouts_are_given(tmp_path: Path, files: Files, inputs: str) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with (tmp_path / next(iter(files))).open() as stdin:
        done = call(FILTER, tmp_path, f"--input {inputs}", stdin=stdin)
    assert counts(tmp_path, done)["read"] == len(LINES)
    assert (tmp_path / "out.jsonl").read_bytes() == PLAIN


def test_files_beside_rollouts_are_skipped_and_said(tmp_path: Path) -> None:
    kinds = ("failures", "materialized_inputs", "reward_profiling", "aggregate_metrics")
    for name in (*(f"run.v2_{kind}" for kind in kinds), "rejected", "run.v2"):
        write(tmp_path / f"{name}.jsonl", LINES[0])
    done = call(FILTER, tmp_path, "--input . run.v2_failures.jsonl")
    assert counts(tmp_path, done)["read"] == 1
    assert "skipped 5 files" in done.stderr and "run.v2_aggregate_metrics.jsonl" in done.stderr


ODD: list[tuple[bytes, str | None]] = [
    (BOM + LINES[0], None),
    (LINES[1] + b"\r", None),
    (b"  " + LINES[2] + b" ", None),
    (LINES[3].replace(b"question", "é\u2028".encode()), None),
    (LINES[4][:-1] + b', "reward": 0.25}', None),
    (line(5, score=float("nan"), most=float("inf")), None),
    (line(6, note="x" * 400_000), None),
    (line(7, note="y" * 30_000_000), None),
    (line(8, big=10**30), None),
    (line(9, reward=float("nan")), "the reward is nan"),
    (line(9, reward=float("-inf")), "the reward is -inf"),
    (line(9, reward=10**400), "the reward is inf"),
    (line(9, reward="0.5"), "is not a number"),
    (line(9, note="\ud83d"), "surrogate"),
    (json.dumps(record([calls("1", arguments="[" * 100_000)])).encode(), "are not JSON"),
    (line(9).replace(b'"role": "user"', b'"role": "\\n\\u001b\\ud800"'), "the role"),
    (line(9).replace(b'"message"', b'"\\n\\u001b\\ud800"'), "has no place"),
    (b"\x00" * 4096, "not JSON"),
    (b"\x00" + LINES[9], "not JSON"),
    (LINES[9].replace(b"question", b"\xff\xfe"), "not UTF-8"),
    (LINES[9].replace(b"question", b"\x01"), "not JSON"),
    *((bomb * 100_000, "nested too deeply") for bomb in (b"[", b'{"a":')),
    (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    (b'{"reward": ' + b"1" * 5000 + b"}", "not JSON"),
    *((scalar, "not an object") for scalar in (b"1", b'"text"', b"null", b"true", b"[]")),
    (b"<PLACEHOLDER ROW>", "not JSON"),
    (LINES[9] + LINES[9], "not JSON"),
    (LINES[9][:-20], "not JSON"),
]


@both_scripts
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_odd_lines_are_used_or_rejected(tmp_path: Path, script: Path, name: str) -> None:
    """With blank lines between them, and the last one cut off."""
    content = b"\n\n".join(each for each, _ in ODD)
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if "gz" in name else content)
    found = counts(tmp_path, call(script, tmp_path, f"--input {name} --max_bad_share 1"))
    rejected = iter(read(tmp_path / "rejected.jsonl"))
    for index, (odd, reason) in enumerate(ODD):
        if reason:
            row = next(rejected)
            assert (row["file"], row["line"]) == (name, 1 + 2 * index)
            assert content[row["offset"] :].startswith(odd) and reason in row["reason"], row
    assert not list(rejected)
    kept = [odd.removeprefix(BOM).rstrip(b"\r") for odd, reason in ODD if not reason]
    assert found["read"] == len(ODD) == len(kept) + total(found["rejected"])
    if script is FILTER:
        assert (tmp_path / "out.jsonl").read_bytes().split(b"\n") == [*kept, b""]


@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_any_depth_is_used_or_rejected(tmp_path: Path, config: Path, algorithm: str) -> None:
    """Around the limit of the parser, where rows are nested a little deeper than their rollout."""
    config.write_text(f"algorithm: {algorithm}\n")
    rows = []
    for depth in range(850, 1010, 5):
        for end in ("1", "2"):
            deep = '{"a":' * depth + end + "}" * depth
            row = record([calls("c", arguments=deep)], f"{depth}", reward=int(end))
            noted = line(depth, reward=int(end), note="deep").replace(b'"deep"', deep.encode())
            rows += [json.dumps(row).encode(), noted]
    write(tmp_path / "in.jsonl", *rows)
    found = counts(tmp_path, call(PREPARE, tmp_path, "--input in.jsonl --max_bad_share 1"))
    assert len(rows) == found["read"] == found["rollouts"] + total(found["rejected"])


@pytest.mark.parametrize(
    ("good", "bad", "share", "message"),
    [
        (99, 1, "", ""),
        (98, 2, "", "2 of 100 lines"),
        (71, 29, "--max_bad_share 0.29", ""),
        (70, 30, "--max_bad_share 0.29", "30 of 100 lines"),
        (9, 0, "--max_bad_share 0", ""),
        (9, 1, "--max_bad_share 0", "1 of 10 lines"),
        (1, 9, "--max_bad_share 1", ""),
        (0, 100_000, "", "1001 of 1001 lines"),
    ],
)
def test_max_bad_share(tmp_path: Path, good: int, bad: int, share: str, message: str) -> None:
    write(tmp_path / "in.jsonl", *[b"cut"] * bad, *[LINES[0]] * good)
    done = call(FILTER, tmp_path, f"--input in.jsonl {share}")
    assert done.returncode == bool(message) and message in done.stderr
    assert (tmp_path / "out.jsonl").exists() == (not message)
    assert (tmp_path / "rejected.jsonl").exists() == bool(bad)
    assert not message or "  the line is not JSON" in done.stdout


# --- filtering ---

CUT = {"output": [says("a")], "incomplete_details": {"reason": "max_output_tokens"}}
CANDIDATES = [
    line(0, reward=0.2),
    line(1, reward=0.7),
    line(2, reward=1, agent_ref={"name": "math"}),
    line(3, reward=-1, agent_ref={"name": "code"}),
    line(4, response=CUT),
    line(5, mask_sample=True),
    line(6, _ng_failure_class="timeout"),
]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("", [0, 1, 2, 3]),
        ("--min_reward 0.7", [1, 2]),
        ("--max_reward 0.2", [0, 3]),
        ("--min_reward -1 --max_reward 0.5", [0, 3]),
        ("--agents math code", [2, 3]),
        ("--keep_truncated", [0, 1, 2, 3, 4]),
        ("--keep_masked --keep_failed", [0, 1, 2, 3, 5, 6]),
    ],
)
def test_rules(tmp_path: Path, rules: str, kept: list[int]) -> None:
    write(tmp_path / "in.jsonl", *CANDIDATES)
    found = counts(tmp_path, call(FILTER, tmp_path, f"--input in.jsonl {rules}"))
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert lines == [CANDIDATES[index] for index in kept]
    assert (found["read"], found["kept"]) == (len(CANDIDATES), len(kept))
    assert total(found["removed"]) == len(CANDIDATES) - len(kept)


def test_manifest_and_report(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *CANDIDATES)
    (tmp_path / "rejected.jsonl").write_text("of an earlier run\n")
    call(FILTER, tmp_path, "--input in.jsonl --min_reward 0.5")
    assert not (tmp_path / "rejected.jsonl").exists()
    manifest = json.loads((tmp_path / "out.manifest.json").read_text("utf-8"))
    data = (tmp_path / "in.jsonl").read_bytes()
    checksum = hashlib.sha256(data).hexdigest()
    assert manifest["inputs"] == [{"file": "in.jsonl", "bytes": len(data), "sha256": checksum}]
    assert manifest["options"]["min_reward"] == 0.5
    command = [sys.executable, "-m", "dataprep.report", "out.manifest.json"]
    shown = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert "7  read" in shown.stdout and "reward below 0.5" in shown.stdout


# --- what goes wrong ---

PACKED = gzip.compress(PLAIN)
INPUTS = {
    "in.jsonl": PLAIN,
    "empty.jsonl": b"",
    "bad.jsonl": b"cut\n" * 3,
    "other.jsonl": b"{}\n" * 3,
    "cut.jsonl.gz": PACKED[:-60],
    "changed.jsonl.gz": PACKED[:200] + b"\xff" * 9 + PACKED[209:],
    "plain.jsonl.gz": PLAIN,
    "tail.jsonl.gz": PACKED + b"tail",
    "cut.jsonl.zst": zstd(PLAIN)[:-60],
    "plain.jsonl.zst": PLAIN,
    "tail.jsonl.zst": zstd(PLAIN) + b"tail",
    "list.yaml": b"algorithm: [sft]\n",
}


@pytest.mark.parametrize(
    ("script", "arguments", "code", "message"),
    [
        *(
            (script, f"--input {name}", 2, f"{name} is damaged")
            for script in (FILTER, PREPARE)
            for name in INPUTS
            if name.endswith((".gz", ".zst"))
        ),
        (FILTER, "--input empty.jsonl", 1, "0  read"),
        (FILTER, "--input bad.jsonl", 1, "3  the line is not JSON"),
        (FILTER, "--input bad.jsonl --max_bad_share 1", 1, "3  the line is not JSON"),
        (FILTER, "--input other.jsonl", 1, "3  no responses_create_params"),
        (FILTER, "--input in.jsonl --agents nobody", 1, "40  of another agent"),
        (PREPARE, "--input other.jsonl", 1, "3  no responses_create_params"),
        (PREPARE, "--input in.jsonl --eval_share 1", 1, "40  held-out rows"),
        (FILTER, "--input no.jsonl in.jsonl nor", 2, "There is no no.jsonl, no nor"),
        (FILTER, "--input empty", 2, "no rollouts in empty"),
        (FILTER, "--input in.jsonl --output in.jsonl", 2, "also an input"),
        (FILTER, "--input in.jsonl --output ./link.jsonl", 2, "also an input"),
        (FILTER, "--input .", 2, "also an input"),
        (PREPARE, "--input out.eval.jsonl", 2, "also an input"),
        (FILTER, "--input in.jsonl --output empty", 2, "is no file"),
        (FILTER, "--input in.jsonl --output pipe", 2, "is no file"),
        (FILTER, "--input in.jsonl --output in.jsonl/x.jsonl", 1, "Cannot write"),
        (FILTER, "--input in.jsonl --output x.jsonl.gz", 2, "plain JSONL"),
        (FILTER, "--input in.jsonl --output rejected.jsonl", 2, "not possible"),
        (FILTER, "--input in.jsonl --max_bad_share 2", 2, "from 0 to 1"),
        (FILTER, "--input in.jsonl --min_reward 1 --max_reward 0", 2, "No reward"),
        (FILTER, "--input in.jsonl --min_reward nan", 2, "No reward"),
        (PREPARE, "--input in.jsonl --eval_share -1", 2, "from 0 to 1"),
        (PREPARE, "--input in.jsonl --min_margin nan", 2, "--min_margin is nan"),
        (PREPARE, "--input in.jsonl --config no.yaml", 2, "Cannot read no.yaml"),
        (PREPARE, "--input in.jsonl --config empty.jsonl", 2, "in empty.jsonl is None"),
        (PREPARE, "--input in.jsonl --config list.yaml", 2, "is ['sft']"),
    ],
)
def test_a_run_that_fails_says_why_and_changes_nothing(
    tmp_path: Path, script: Path, arguments: str, code: int, message: str
) -> None:
    for name, data in INPUTS.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    os.mkfifo(tmp_path / "pipe")
    before = old_outputs(tmp_path)
    done = call(script, tmp_path, arguments)
    assert (done.returncode, message in done.stdout + done.stderr) == (code, True), done.stderr
    assert len(done.stderr[done.stderr.index("error: ") :].splitlines()) == 2
    after = everything(tmp_path)
    assert code == 1 or "rejected.jsonl" not in after
    after.pop("rejected.jsonl", None)
    assert after == before


@both_scripts
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_changes_nothing(tmp_path: Path, script: Path, sent: int) -> None:
    before = old_outputs(tmp_path)
    command = [sys.executable, str(script), "--input", "-", "--output", "out.jsonl"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        process.stdin.write((LINES[1] + b"\n") * 2000 + b"not JSON\n" * 3 + LINES[1])
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not any(data for name, data in everything(tmp_path).items() if ".part" in name):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(sent)
    after = everything(tmp_path)
    if sent != signal.SIGKILL:
        assert process.returncode == 130 and after == before
        return
    left = after.keys() - before.keys()
    assert left and all(re.match(r"\.(out|rejected)\..+\.part", name) for name in left)
    for path in tmp_path.glob("out.*"):
        path.unlink()
    write(tmp_path / "in.jsonl", LINES[0])
    assert counts(tmp_path, call(script, tmp_path, "--input ."))["read"] == 1


@both_scripts
@pytest.mark.parametrize("size", [10, 4000])
def test_a_full_disk_changes_nothing(tmp_path: Path, script: Path, size: int) -> None:
    """Nothing larger than 128 KiB can be written, as on a disk that has no more."""
    folder, most = tmp_path / "full", 2**17
    folder.mkdir()
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
    write(tmp_path / "in.jsonl", *(line(n, note="x" * size) for n in range(2000)))
    before = old_outputs(folder)
    done = call(script, tmp_path, "--input in.jsonl --output full/out.jsonl", preexec_fn=limit)
    assert done.returncode == 1, done.stdout
    assert re.search(r"Cannot write full/\S+: File too large", done.stderr)
    assert everything(folder) == before


# --- whole files ---

GOOD = [*CANDIDATES, *(odd for odd, _ in ODD if len(odd) < 3000)]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A line with some bytes cut out or replaced."""
    data = draw(st.sampled_from(GOOD))
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 40)) :]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(GOOD) | mutated(), max_size=8).map(b"\n".join))
def test_any_file_is_counted_whole(content: bytes) -> None:
    assume(not content.startswith((GZIP, ZSTD)))
    expected = sum(bool(each.removeprefix(BOM).strip()) for each in content.split(b"\n"))
    with tempfile.TemporaryDirectory() as name:
        file, output = Path(name, "in.jsonl"), Path(name, "out.jsonl")
        file.write_bytes(content)
        options = Options((str(file),), output, max_bad_share=1)
        sft = partial(prepare, kind="sft", row=prompt_completion, eval_share=0.5, min_margin=0)
        for run in (partial(filter_rollouts, rules=Rules()), sft):
            try:
                run(options)
            except UserError as error:
                assert f"Of {expected} lines" in str(error)
                continue
            found = json.loads(Path(name, "out.manifest.json").read_text("utf-8"))["counts"]
            parts = [found.get(key, 0) for key in ("kept", "rollouts", "removed", "rejected")]
            assert found["read"] == expected == sum(map(total, parts))
