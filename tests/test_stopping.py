"""What goes wrong between files: errors, signals, full disks, runs that were killed."""

import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zstandard

from conftest import running
from inside import inside, left_behind, outputs, small_spans, started
from rollouts import many, write
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
)

pytestmark = pytest.mark.usefixtures("config")

zstd = zstandard.ZstdCompressor().compress
PLAIN = b"".join(each + b"\n" for each in LINES)
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
        (FILTER, "--input other.jsonl", 1, "3  it is in no form that is known"),
        (FILTER, "--input in.jsonl --agents nobody", 1, "40  of another agent"),
        (FILTER, "--input in.jsonl --min_pass_rate 1 --solved_from 9", 1, "40  of tasks solved by"),
        (PREPARE, "--input other.jsonl", 1, "3  it is in no form that is known"),
        (PREPARE, "--input in.jsonl --eval_share 1", 1, "40  held-out rows"),
        (PREPARE, "--input in.jsonl --kind preference", 1, "A pair needs two rollouts"),
        (PREPARE, "--input in.jsonl --kind trajectories", 2, "no trajectories rows for trl"),
        (FILTER, "--input no.jsonl in.jsonl nor", 2, "There is no no.jsonl, no nor"),
        (FILTER, "--input empty", 2, "no rollouts in empty"),
        (FILTER, "--input in.jsonl --output in.jsonl", 2, "also an input"),
        (FILTER, "--input in.jsonl --output ./link.jsonl", 2, "also an input"),
        (FILTER, "--input .", 2, "also an input"),
        (PREPARE, "--input out.eval.jsonl", 2, "also an input"),
        (FILTER, "--input in.jsonl --output empty", 2, "is no file"),
        (FILTER, "--input in.jsonl --output pipe", 2, "is no file"),
        (FILTER, "--input in.jsonl --output in.jsonl/x.jsonl", 1, "Cannot write"),
        (FILTER, "--input in.jsonl --output x.jsonl.gz", 2, "not compressed"),
        (FILTER, "--input in.jsonl --output x.parquet", 2, "which is JSONL"),
        (FILTER, "--input in.jsonl --output rejected.jsonl", 2, "not possible"),
        (FILTER, "--input in.jsonl --max_bad_share 2", 2, "from 0 to 1"),
        (FILTER, "--input in.jsonl --workers -1", 2, "--workers is -1"),
        (FILTER, "--input in.jsonl --min_reward 1 --max_reward 0", 2, "--min_reward 1 and"),
        (FILTER, "--input in.jsonl --min_reward nan", 2, "--min_reward nan and"),
        (FILTER, "--input in.jsonl --max_reward nan", 2, "--max_reward nan"),
        (FILTER, "--input in.jsonl --min_turns 2 --max_turns 1", 2, "--min_turns 2 and"),
        (FILTER, "--input in.jsonl --min_pass_rate 0.5 --max_pass_rate 0.1", 2, "pass_rate 0.5"),
        (FILTER, "--input in.jsonl --max_pass_rate 2", 2, "--max_pass_rate is 2"),
        (FILTER, "--input in.jsonl --max_per_task 0", 2, "--max_per_task is 0"),
        (FILTER, "--input in.jsonl --max_tokens 5", 2, "okenizer"),
        (PREPARE, "--input in.jsonl --eval_share -1", 2, "from 0 to 1"),
        (PREPARE, "--input in.jsonl --min_margin nan", 2, "--min_margin is nan"),
        (PREPARE, "--input in.jsonl --max_pairs 0", 2, "--max_pairs is 0"),
        (PREPARE, "--input in.jsonl --config no.yaml", 2, "Cannot read no.yaml"),
        (PREPARE, "--input in.jsonl --config empty.jsonl", 2, "empty.jsonl: `algorithm` is None"),
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
    done = inside(script, tmp_path, arguments)
    assert (done.returncode, message in done.stdout + done.stderr) == (code, True), done.stderr
    assert len(done.stderr[done.stderr.index("error: ") :].splitlines()) == 2
    after = everything(tmp_path)
    assert code == 1 or "rejected.jsonl" not in after
    after.pop("rejected.jsonl", None)
    assert after == before and not left_behind(tmp_path)


# --- runs that are stopped ---

ROWS = many(1000)
SPAN = 20_000
RUNS = [
    (FILTER, "--duplicates exact --max_per_task 3"),
    (PREPARE, "--kind sft --eval_share 0.2"),
    (PREPARE, "--kind preference --eval_share 0.2"),
]
runs = pytest.mark.parametrize(("script", "options"), RUNS)


def command(script: Path, options: str, workers: int = 2) -> list[str]:
    arguments = f"--input in.jsonl --output out.jsonl --workers {workers} --max_bad_share 1"
    return small_spans(SPAN, script, f"{arguments} {options}")


def spans_done(folder: Path) -> list[Path]:
    """Spans that are finished, in the work folder of a run."""
    found = (folder / ".out.jsonl.work").glob("span-*/done.json")
    # A process that was killed may have left one that it was still writing.
    return [each for each in found if each.parent.suffix != ".part"]


def unbroken(folder: Path, script: Path, options: str) -> Files:
    done = subprocess.run(
        command(script, options), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0 and not left_behind(folder), done.stderr
    found = {name: data for name, data in everything(folder).items() if name.startswith("out")}
    for name in found:
        (folder / name).unlink()
    (folder / "rejected.jsonl").unlink()
    return found


def killed(folder: Path, script: Path, options: str, spans: int = 3) -> None:
    """A run that ended without a chance to clean up, some spans of which are finished."""
    with started(command(script, options), folder) as process:
        deadline = time.monotonic() + 30
        while len(spans_done(folder)) < spans:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
    time.sleep(0.3)  # Its workers end when they notice.


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", *ROWS)


@runs
def test_a_killed_run_is_continued(
    tmp_path: Path, rollouts: Path, script: Path, options: str
) -> None:
    """What is finished is not done again: a count that was changed there stays changed."""
    expected = unbroken(tmp_path, script, options)
    killed(tmp_path, script, options)
    assert not set(expected) & set(everything(tmp_path))
    (tmp_path / ".out.jsonl.work" / "span-00000.77.part").mkdir(exist_ok=True)
    done = spans_done(tmp_path)[0]
    report = json.loads(done.read_text())
    done.write_text(json.dumps({**report, "read": report["read"] + 1000}))
    ended = subprocess.run(
        command(script, options), cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    after = everything(tmp_path)
    manifests = [json.loads(files.pop("out.manifest.json")) for files in (expected, after)]
    assert [each["counts"]["read"] for each in manifests] == [len(ROWS), len(ROWS) + 1000]
    assert {name: after[name] for name in expected} == expected
    assert not left_behind(tmp_path)


@pytest.mark.parametrize("change", ["input", "options", "workers"])
def test_what_has_changed_starts_afresh(tmp_path: Path, rollouts: Path, change: str) -> None:
    """Spans of other inputs, options or cuts are not mixed into the output."""
    killed(tmp_path, FILTER, "")
    if change == "input":
        text = rollouts.read_bytes().replace(b"answer", b"ANSWER")
        rollouts.write_bytes(text)
    options = "--min_reward 0.5" if change == "options" else ""
    workers = 3 if change == "workers" else 2
    done = subprocess.run(
        command(FILTER, options, workers), cwd=tmp_path, env=ENVIRONMENT, capture_output=True
    )
    assert done.returncode == 0
    found = outputs(tmp_path, ordered=True)
    (tmp_path / "out.jsonl").unlink()
    unbroken_done = inside(FILTER, tmp_path, f"--input in.jsonl --max_bad_share 1 {options}")
    assert unbroken_done.returncode == 0
    assert outputs(tmp_path, ordered=True) == found
    assert not left_behind(tmp_path)


KILLED_AFTER_ONE_FILE = """
import os
from rl_rollouts.engine.write import Output
def taken(self, *part, take=Output.take):
    take(self, *part)
    os._exit(9)
Output.take = taken
"""


@runs
def test_a_run_killed_while_it_writes_its_output_is_made_again(
    tmp_path: Path, rollouts: Path, script: Path, options: str
) -> None:
    """Rows move from the work folder into the output: what is missing then is not taken as done."""
    expected = unbroken(tmp_path, script, options)
    broken = command(script, options)
    broken[2] = KILLED_AFTER_ONE_FILE + broken[2]
    assert (
        subprocess.run(broken, cwd=tmp_path, env=ENVIRONMENT, capture_output=True).returncode == 9
    )
    assert not set(expected) & set(everything(tmp_path))
    done = subprocess.run(
        command(script, options), cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    after = everything(tmp_path)
    assert {name: after[name] for name in expected} == expected


KILLED_WHILE_IT_JOINS = """
import os
from rl_rollouts.engine import joined
calls = 0
def {name}(*given, real=joined.{owner}{name}):
    global calls
    calls += 1
    if calls == {call} and not {after}:
        os._exit(9)
    real(*given)
    if calls == {call}:
        os._exit(9)
joined.{owner}{name} = {name}
"""


@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [("", "append", 4, True), ("Path.", "replace", 3, False), ("Path.", "replace", 3, True)],
    ids=["rows without a note", "a note not in place", "rows that stand twice"],
)
def test_a_run_killed_while_it_joins_rows_is_continued(
    tmp_path: Path, rollouts: Path, owner: str, name: str, call: int, after: bool
) -> None:
    """Rows of finished spans move into one file while others are read: none is lost or doubled."""
    script, options = PREPARE, "--kind sft --eval_share 0.2"
    expected = unbroken(tmp_path, script, options)
    broken = command(script, options)
    broken[2] = (
        KILLED_WHILE_IT_JOINS.format(owner=owner, name=name, call=call, after=after) + broken[2]
    )
    ended = subprocess.run(broken, cwd=tmp_path, env=ENVIRONMENT, capture_output=True)
    assert ended.returncode == 9, ended.stderr
    assert (tmp_path / ".out.jsonl.work" / "joined.json").is_file()
    done = subprocess.run(
        command(script, options), cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = everything(tmp_path)
    assert {name: found[name] for name in expected} == expected
    assert not left_behind(tmp_path)


def test_joined_rows_that_never_reached_the_disk_are_not_taken_for_rows(
    tmp_path: Path, rollouts: Path
) -> None:
    """A machine that stops may keep the note and lose what it is about."""
    options = "--kind sft --eval_share 0.2"
    broken = command(PREPARE, options)
    broken[2] = (
        KILLED_WHILE_IT_JOINS.format(owner="", name="append", call=4, after=True) + broken[2]
    )
    assert subprocess.run(broken, cwd=tmp_path, env=ENVIRONMENT).returncode == 9
    os.truncate(tmp_path / ".out.jsonl.work" / "joined-0.jsonl", 10)
    words = command(PREPARE, options)
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1 and "is damaged" in done.stderr
    assert subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT).returncode == 0


def processes_of(group: int) -> list[str]:
    """Those that have not ended; a container may never clear away those that have."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [row[2] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


@pytest.mark.parametrize(
    ("sent", "together"),
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)],
    ids=["ctrl-c", "scancel", "kill"],
)
@runs
def test_a_stopped_run_changes_no_output(
    tmp_path: Path, rollouts: Path, script: Path, options: str, sent: int, together: bool
) -> None:
    """What is finished of it is continued; nothing is left running."""
    before = old_outputs(tmp_path)
    with started(command(script, options), tmp_path, start_new_session=True) as process:
        deadline = time.monotonic() + 30
        while len(spans_done(tmp_path)) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        # To every process of the run, as terminals and job schedulers do, or to the first.
        os.killpg(process.pid, sent) if together else process.send_signal(sent)
        _, said = process.communicate(timeout=20)
    if not (together and process.returncode == 1 and "A process was killed" in said):
        assert process.returncode == 130 and said.rstrip().endswith("stopped")
    assert "Traceback" not in said
    after = everything(tmp_path)
    assert {name: after[name] for name in before} == before
    assert left_behind(tmp_path) == [".out.jsonl.work"]
    while running := processes_of(process.pid):
        assert time.monotonic() < deadline, running
        time.sleep(0.02)


def test_a_process_that_is_killed_ends_the_run(tmp_path: Path, rollouts: Path) -> None:
    """As Linux does when memory is used up; waiting for it would be for ever."""
    with started(command(FILTER, ""), tmp_path, start_new_session=True) as process:
        while not spans_done(tmp_path):
            assert process.poll() is None
            time.sleep(0.002)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1 and "fewer --workers" in said and "Traceback" not in said
    assert subprocess.run(command(FILTER, ""), cwd=tmp_path, env=ENVIRONMENT).returncode == 0


@both_scripts
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_over_a_stream_leaves_nothing(
    tmp_path: Path, script: Path, sent: int
) -> None:
    """A stream is never the same again, so nothing of it can be continued."""
    before = old_outputs(tmp_path)
    arguments = [sys.executable, str(script), "--input", "-", "--output", "out.jsonl"]
    with running(
        arguments, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        process.stdin.write((LINES[1] + b"\n") * 9000 + b"not JSON\n" * 3 + LINES[1])
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not any(".part" in name for name in everything(tmp_path)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(sent)
    after = everything(tmp_path)
    if sent != signal.SIGKILL:
        assert process.returncode == 130 and after == before and not left_behind(tmp_path)
        return
    assert left_behind(tmp_path) == [".out.jsonl.work"]
    for path in tmp_path.glob("out.*"):
        path.unlink()
    write(tmp_path / "in.jsonl", LINES[0])
    assert counts(tmp_path, call(script, tmp_path, "--input ."))["read"] == 1
    assert not left_behind(tmp_path)


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *LINES)
    arguments = [sys.executable, str(FILTER), "--input", "-", "--output", "out.jsonl"]
    with running(
        arguments, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as first:
        assert first.stdin
        while not list(tmp_path.glob(".out.jsonl.work/*.part")):
            assert first.poll() is None
            time.sleep(0.02)
        second = inside(FILTER, tmp_path, "--input in.jsonl")
        assert second.returncode == 2 and "Another run is writing out.jsonl" in second.stderr
        other = inside(FILTER, tmp_path, "--input in.jsonl --output other.jsonl")
        assert other.returncode == 0
        first.communicate(LINES[0])
    assert first.returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == LINES[0] + b"\n"


# --- full disks ---


@both_scripts
@pytest.mark.parametrize("size", [10, 4000])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_changes_nothing(tmp_path: Path, script: Path, size: int, workers: int) -> None:
    """Nothing larger than 128 KiB can be written, as on a disk that has no more."""
    folder, most = tmp_path / "full", 2**17
    folder.mkdir()
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
    write(tmp_path / "in.jsonl", *(line(n, note="x" * size) for n in range(3000)))
    before = old_outputs(folder)
    arguments = f"--input in.jsonl --output full/out.jsonl --workers {workers}"
    done = subprocess.run(
        small_spans(500_000, script, arguments), cwd=tmp_path, env=ENVIRONMENT,
        capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert re.search(r"Cannot write full/\S+: File too large", done.stderr)
    assert "Traceback" not in done.stderr
    assert everything(folder) == before and not left_behind(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root may make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("a small file system can only be made by root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    ("script", "options"),
    [*RUNS, (PREPARE, "--kind preference --pairs all --whole"), (FILTER, "--max_per_task 2")],
)
@pytest.mark.parametrize("filled", [0.2, 0.5, 0.7, 0.8, 0.9, 0.99])
def test_a_disk_that_fills_up_at_any_stage_is_said(
    tmp_path: Path, small_disk: Path, script: Path, options: str, filled: float
) -> None:
    write(tmp_path / "in.jsonl", *ROWS)
    (small_disk / "out.jsonl").write_bytes(b"x" * int(filled * 2**22))
    before = everything(small_disk)
    arguments = f"--input in.jsonl --output disk/out.jsonl --max_bad_share 1 {options}"
    done = inside(script, tmp_path, arguments)
    after = everything(small_disk)
    if done.returncode == 0:
        assert filled < 0.9 and after["out.jsonl"] != before["out.jsonl"]
        return
    assert done.returncode == 1
    assert re.search(r"error: Cannot write disk/\S+: No space left on device\.", done.stderr)
    after.pop("rejected.jsonl", None)
    assert after == before and not left_behind(small_disk)
