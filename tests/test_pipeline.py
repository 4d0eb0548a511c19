"""Reading: `filter_rollouts.py` and `prepare_for_trl.py` on whatever is called rollouts."""

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from inside import counted, inside
from rl_rollouts.data.containers import BOM
from rollouts import calls, record, result, says, user, write
from rollouts import read as rows_of
from scripts import (
    ENVIRONMENT,
    FILTER,
    LINES,
    PREPARE,
    Files,
    both_scripts,
    call,
    counts,
    line,
    total,
)

pytestmark = pytest.mark.usefixtures("config")

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
        ({"d/a.jsonl": PLAIN, "d/empty.jsonl": b"", "d/blank.jsonl": b"\n \r\n\n"}, "d"),
        ({"d/a.jsonl": PLAIN, "d/z.jsonl.gz": gzip.compress(b""), "d/z.jsonl.zst": zstd(b"")}, "d"),
        ({"stdin": PLAIN}, "-"),
        ({"stdin": gzip.compress(PLAIN)}, "-"),
        ({"stdin": zstd(PLAIN)}, "-"),
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


@pytest.mark.parametrize("content", [PLAIN, gzip.compress(PLAIN), zstd(PLAIN)])
def test_pipes_are_read_once(tmp_path: Path, content: bytes) -> None:
    """As in `--input <(zcat ...)`, and a plain file beside it."""
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "more.jsonl", LINES[0])
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writer.start()
    found = counts(tmp_path, call(FILTER, tmp_path, "--input pipe more.jsonl --workers 2"))
    writer.join()
    assert found["read"] == len(LINES) + 1
    assert (tmp_path / "out.jsonl").read_bytes() == PLAIN + LINES[0] + b"\n"


def test_files_beside_rollouts_are_skipped_and_said(tmp_path: Path) -> None:
    kinds = ("failures", "materialized_inputs", "reward_profiling", "aggregate_metrics")
    for name in (*(f"run.v2_{kind}" for kind in kinds), "rejected", "run.v2"):
        write(tmp_path / f"{name}.jsonl", LINES[0])
    done = call(FILTER, tmp_path, "--input . run.v2_failures.jsonl")
    assert counts(tmp_path, done)["read"] == 1
    assert "skipped 5 files" in done.stderr and "run.v2_aggregate_metrics.jsonl" in done.stderr


UNREAD = line(9, note="!").replace(b"!", b"\xff\xfe")
"""No text, but only in what rows for training do not hold."""
ODD: list[tuple[bytes, str | None]] = [
    (BOM + LINES[0], None),
    (LINES[1] + b"\r", None),
    (b"  " + LINES[2] + b" ", None),
    (LINES[3].replace(b"question", "é\u2028".encode()), None),
    (line(5, score=float("nan"), most=float("inf")), None),
    (line(6, note="x" * 400_000), None),
    (line(7, note="y" * 3_000_000), None),
    (line(8, big=10**30), None),
    (line(9, reward=float("nan")), "the reward is not a number: 'NaN'"),
    (line(9, reward=float("-inf")), "the reward is not a number: '-Infinity'"),
    (LINES[9].replace(b"1.0", b"1e999"), "the reward is not a number: '1e999'"),
    (line(9, reward=10**400), "the reward is not finite: inf"),
    (line(9, reward="0.5"), "is not a number: '0.5'"),
    (line(9, reward=True), "is not a number: True"),
    (LINES[4][:-1] + b', "reward": 0.25}', "the key reward stands twice"),
    (line(9, note="\ud83d"), "surrogate"),
    (json.dumps(record([calls("1", arguments="[" * 100_000)])).encode(), "are not JSON"),
    (line(9).replace(b'"role": "user"', b'"role": "\\n\\u001b"'), "the role"),
    (line(9).replace(b'"message"', b'"\\n\\u001b"'), "has no place"),
    (b"\x00" * 4096, "not JSON"),
    (b"\x00" + LINES[9], "not JSON"),
    (LINES[9].replace(b"question", b"\xff\xfe"), "not UTF-8"),
    (UNREAD, "not UTF-8"),
    (LINES[9].replace(b"question", b"\x01"), "not JSON"),
    *((bomb * 100_000, "nested too deeply") for bomb in (b"[", b'{"a":')),
    (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    (b'{"reward": ' + b"1" * 5000 + b"}", "not JSON"),
    *((scalar, "no JSON object") for scalar in (b"1", b'"text"', b"null", b"true", b"[]")),
    (b"<PLACEHOLDER ROW>", "not JSON"),
    (LINES[9] + LINES[9], "not JSON"),
    (LINES[9][:-20], "the last line was cut off while it was written: the line is not JSON"),
]


@both_scripts
@pytest.mark.parametrize("span", ["whole", "many"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_odd_lines_are_used_or_rejected(
    tmp_path: Path, script: Path, name: str, span: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blank lines between them, and the last one cut off, in spans of any size."""
    if span == "many":
        monkeypatch.setattr("rl_rollouts.engine.run.SMALLEST_SPAN", 100_000)
        monkeypatch.setattr("rl_rollouts.engine.run.LARGEST_SPAN", 100_000)
    content = b"\n\n".join(each for each, _ in ODD)
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if "gz" in name else content)
    done = inside(script, tmp_path, f"--input {name} --max_bad_share 1 --workers 1")
    found = counted(tmp_path, done, script)
    rejected = iter(rows_of(tmp_path / "rejected.jsonl"))
    reasons = [None if script is PREPARE and odd is UNREAD else reason for odd, reason in ODD]
    for index, ((odd, _), reason) in enumerate(zip(ODD, reasons, strict=True)):
        if reason:
            row = next(rejected)
            assert (row["file"], row["line"]) == (name, 1 + 2 * index)
            assert content[row["offset"] :].startswith(odd) and reason in row["reason"], row
    assert not list(rejected)
    kept = [odd.removeprefix(BOM).rstrip(b"\r") for odd, reason in ODD if not reason]
    assert found and found["read"] == len(ODD)
    assert total(found["rejected"]) + total(found["set aside"]) == len(ODD) - reasons.count(None)
    if script is FILTER:
        assert (tmp_path / "out.jsonl").read_bytes().split(b"\n") == [*kept, b""]


@pytest.mark.parametrize("kind", ["sft", "preference", "trajectories"])
def test_any_depth_is_used_or_rejected(tmp_path: Path, kind: str) -> None:
    """Around the limit of the parser, where rows are nested a little deeper than their rollout."""
    from inside import CUSTOM

    rows = []
    for depth in range(850, 1010, 5):
        for end in ("1", "2"):
            deep = '{"a":' * depth + end + "}" * depth
            row = record([calls("c", arguments=deep)], f"{depth}", reward=int(end))
            noted = line(depth, reward=int(end), note="deep").replace(b'"deep"', deep.encode())
            content = [{"type": "output_text", "text": "a", "of": "deep"}]
            said = record([{**says("a"), "content": content}], f"{depth}", reward=int(end))
            within = json.dumps(said).replace('"deep"', deep).encode()
            rows += [json.dumps(row).encode(), noted, within]
    write(tmp_path / "in.jsonl", *rows)
    done = inside(CUSTOM, tmp_path, f"--input in.jsonl --max_bad_share 1 --kind {kind}")
    found = counted(tmp_path, done, CUSTOM)
    assert found and found["read"] == len(rows)


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
        (0, 3000, "", "3000 of 3000 lines"),
    ],
)
def test_max_bad_share(tmp_path: Path, good: int, bad: int, share: str, message: str) -> None:
    write(tmp_path / "in.jsonl", *[b"cut"] * bad, *[LINES[0]] * good)
    done = call(FILTER, tmp_path, f"--input in.jsonl {share}")
    assert done.returncode == bool(message) and message in done.stderr
    assert (tmp_path / "out.jsonl").exists() == (not message)
    assert (tmp_path / "rejected.jsonl").exists() == bool(bad)
    assert not message or "  the line is not JSON" in done.stdout


@pytest.mark.parametrize(
    ("end", "rejected", "allowed"),
    [
        (LINES[0][:-9], 1, True),
        (LINES[0][:-9] + b"\n", 1, False),
        (json.dumps(record([calls("1"), says("a")])).encode() + b"\n", 1, True),
        (b"not JSON\n" + LINES[0][:-9], 2, False),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_only_damage_counts(
    tmp_path: Path, end: bytes, rejected: int, allowed: bool, pack: type[bytes]
) -> None:
    """Not the line at which a writer was stopped, nor a rollout that is only set aside."""
    (tmp_path / "in.jsonl").write_bytes(pack(LINES[0] + b"\n" + end))
    done = inside(FILTER, tmp_path, "--input in.jsonl --max_bad_share 0")
    assert done.returncode == (0 if allowed else 1)
    assert len(rows_of(tmp_path / "rejected.jsonl")) == rejected


def test_a_bad_beginning_stops_a_run_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_rollouts.engine.run.SMALLEST_SPAN", 2000)
    monkeypatch.setattr("rl_rollouts.engine.run.LARGEST_SPAN", 2000)
    write(tmp_path / "in.jsonl", *[b"cut"] * 100_000, *LINES)
    done = inside(FILTER, tmp_path, "--input in.jsonl --workers 1")
    assert done.returncode == 1 and "are no rollouts" in done.stderr
    assert len(rows_of(tmp_path / "rejected.jsonl")) < 50_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_bad_beginning_is_no_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: type[bytes]
) -> None:
    """A file with nothing but bad lines, and many good ones after it."""
    monkeypatch.setattr("rl_rollouts.engine.run.SMALLEST_SPAN", 20_000)
    monkeypatch.setattr("rl_rollouts.engine.run.LARGEST_SPAN", 20_000)
    rows = [line(number, note=f"{number:09}" * 20) for number in range(4000)]
    for name, part in {"a": rows[:40], "b": rows[40:2000], "c": rows[2000:]}.items():
        end = b"!\n" if name == "a" else b"\n"
        (tmp_path / f"{name}.jsonl").write_bytes(pack(b"".join(each + end for each in part)))
    found = counted(tmp_path, inside(FILTER, tmp_path, "--input a.jsonl b.jsonl c.jsonl"))
    assert found and (found["kept"], total(found["rejected"])) == (3960, 40)


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_a_line_of_100_mb_is_one_rollout(tmp_path: Path) -> None:
    """In a few times its size."""
    output = [calls("1"), result("1", "!"), says("a")]
    before, after = json.dumps(record(output, [user("q")])).encode().split(b'"!"')
    with (tmp_path / "in.jsonl").open("wb") as file:
        file.writelines([LINES[0], b"\n", before, b'"'])
        for _ in range(100):
            file.write(b"0123456789" * 10**5)
        file.writelines([b'"', after, b"\n", LINES[1], b"\n"])
    script = [str(FILTER), "--input", "in.jsonl", "--output", "out.jsonl"]
    done = subprocess.check_output(
        [sys.executable, "-c", MEASURE, sys.executable, *script], cwd=tmp_path, env=ENVIRONMENT
    )
    assert (tmp_path / "out.jsonl").stat().st_size == (tmp_path / "in.jsonl").stat().st_size
    assert int(done.split()[-1]) * 1024 < 520e6


def test_prepare_reads_what_filter_wrote(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *LINES, b"cut")
    done = inside(FILTER, tmp_path, "--input in.jsonl --output kept.jsonl --max_bad_share 1")
    assert done.returncode == 0
    found = counts(tmp_path, inside(PREPARE, tmp_path, "--input kept.jsonl"))
    assert found["read"] == found["rollouts"] == len(LINES)
