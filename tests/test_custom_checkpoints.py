"""Checkpoints of the custom trainer: whole whatever happens, and a run that goes on from them."""

import json
import os
import random
import resource
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from custom_runs import Custom, log, losses, started, weights
from projects import until

pytestmark = pytest.mark.long

STEADY = {"lr_scheduler": "constant", "warmup_ratio": 0}
LONG = {**STEADY, "max_steps": 4000, "save_steps": 1}


def whole(output: str = "out") -> list[Path]:
    return sorted(Path(output).glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))


def test_training_goes_on_while_a_checkpoint_is_written(
    custom: Custom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved is the state after its step, not what later steps made of it."""
    from torch.distributed.checkpoint.filesystem import FileSystemWriter

    import custom_checkpoint

    slow = FileSystemWriter.write_data

    def write_data(self: Any, *arguments: Any) -> Any:
        time.sleep(3)
        return slow(self, *arguments)

    monkeypatch.setattr(FileSystemWriter, "write_data", write_data)
    began: list[float] = []
    save = custom_checkpoint.Checkpoints.save

    def timed(self: Any, *arguments: Any) -> None:
        before = time.monotonic()
        save(self, *arguments)
        began.append(time.monotonic() - before)

    monkeypatch.setattr(custom_checkpoint.Checkpoints, "save", timed)
    assert custom(save_steps=3, max_steps=5, keep_checkpoints=9)[0] == 0
    assert began[0] < 2, "the first save does not wait for the disk"
    shutil.copytree("out/checkpoint-3", "again/checkpoint-3")
    custom("--resume", save_steps=3, max_steps=5, output_dir="again")
    assert losses("again") == losses("out")[3:]


def grown(before: list[Path]) -> bool:
    return len(whole()) > 0 and whole() != before


@pytest.mark.parametrize("processes", [1, 2])
def test_a_kill_at_any_moment_leaves_a_checkpoint_that_resumes(
    custom: Custom, processes: int
) -> None:
    moment = random.Random(processes)
    for _ in range(3):
        before = whole()
        process = started("--resume", **LONG, processes=processes)
        until(partial(grown, before))
        time.sleep(moment.random())
        if processes > 1:  # the workers as well, at once
            os.system(f"pkill -KILL -P {process.pid}")
        process.kill()
        process.communicate()
        for each in whole():
            run = json.loads((each / "run.json").read_text())
            assert (each / ".metadata").is_file() and run["step"] == int(each.name.split("-")[1])
    done = int(whole()[-1].name.split("-")[1])
    code, out, _ = custom("--resume", **{**LONG, "max_steps": done + 2})
    assert code == 0 and f"step {done + 1}/" in out
    assert [line["step"] for line in log()] == list(range(1, done + 3))
    custom(**STEADY, max_steps=done + 2, output_dir="unbroken")
    assert losses() == pytest.approx(losses("unbroken"), abs=1e-4)
    assert not list(Path("out").glob(".checkpoint-*.partial"))


def children_of(process: int) -> list[int]:
    """Processes that it has started."""
    words = Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()
    return [int(word) for word in words]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_saves_and_exits(custom: Custom, processes: int, times: int) -> None:
    options = {**STEADY, "max_steps": 4000}
    process = started(**options, processes=processes)
    until(lambda: Path("out/log.jsonl").exists() and len(log()) > 2)
    # Schedulers send it to every process, and torchrun passes it on to those that had it already.
    for each in (*children_of(process.pid), process.pid) * times:
        os.kill(each, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    (checkpoint,) = whole()
    step = json.loads((checkpoint / "run.json").read_text())["step"]
    assert f"error: Stopped after step {step}." in said and "--resume" in said
    if processes == 1:
        assert process.returncode == 143
    assert process.returncode != 0 and len(log()) == step
    code, out, _ = custom("--resume", **{**options, "max_steps": step + 2})
    assert code == 0 and f"step {step + 1}/{step + 2}" in out


def test_a_full_disk_loses_no_earlier_checkpoint(custom: Custom) -> None:
    custom(save_steps=2)
    shutil.rmtree("out/final")
    before = {p: p.stat().st_mtime_ns for p in Path("out/checkpoint-4").rglob("*")}
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        code, _, err = custom("--resume", save_steps=1, max_steps=8, keep_checkpoints=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert code == 1 and "error: Cannot write out/checkpoint-5: " in err and "--resume" in err
    assert before == {p: p.stat().st_mtime_ns for p in Path("out/checkpoint-4").rglob("*")}
    assert not list(Path("out").glob(".checkpoint-*")), "it gives back what it took"
    assert custom("--resume", save_steps=1, max_steps=8, keep_checkpoints=1)[0] == 0
    assert [each.name for each in whole()] == ["checkpoint-8"]


def test_a_checkpoint_exports_as_the_final_model(custom: Custom, tmp_path: Path) -> None:
    from rl_rollouts.models.export import export

    assert custom(save_steps=4)[0] == 0
    export(Path("out/checkpoint-4"), tmp_path / "exported", "float32")
    ours, final = weights("exported"), weights("out/final")
    assert all(torch.equal(ours[name], final[name]) for name in final)
