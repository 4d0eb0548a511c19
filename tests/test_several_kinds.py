"""`--kind sft preference`: one pass over the rollouts, and the rows of each kind as if alone."""

import json
import subprocess
from pathlib import Path

import pytest

from conftest import Result
from inside import CUSTOM, inside, left_behind, small_spans
from rollouts import many, write
from scripts import ENVIRONMENT, PREPARE, Files, everything, total
from test_stopping import killed

pytestmark = pytest.mark.usefixtures("config")

ROWS = many(300)
KINDS = ("sft", "preference", "unpaired", "trajectories")
SOME = "--input in.jsonl --output out.jsonl --max_bad_share 1 --eval_share 0.2"


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", *ROWS)


def alone(folder: Path, kinds: tuple[str, ...], options: str, script: Path) -> Files:
    """What a run of each kind writes, under the names of a run of all."""
    found: Files = {}
    for kind in kinds:
        assert inside(script, folder, f"{SOME} --kind {kind} {options}").returncode == 0
        for ending in (".jsonl", ".eval.jsonl"):
            found[f"out.{kind}{ending}"] = (folder / f"out{ending}").read_bytes()
        found["out.prompts.jsonl"] = (folder / "out.prompts.jsonl").read_bytes()
        found[f"counts of {kind}"] = counts_of(folder / "out.manifest.json")
        for path in folder.glob("out.*"):
            path.unlink()
    return found


def together(folder: Path, kinds: tuple[str, ...]) -> Files:
    """What a run of all has written."""
    found = {name: data for name, data in everything(folder).items() if name.startswith("out")}
    for kind in kinds:
        del found[f"out.{kind}.manifest.json"]
        found[f"counts of {kind}"] = counts_of(folder / f"out.{kind}.manifest.json")
    return found


def counts_of(manifest: Path) -> bytes:
    return json.dumps(json.loads(manifest.read_bytes())["counts"]).encode()


def command(options: str, workers: int, span: int = 20_000) -> list[str]:
    return small_spans(span, PREPARE, f"{SOME} --workers {workers} {options}")


def run(command: list[str], folder: Path) -> Result:
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("script", "kinds", "options"),
    [
        (PREPARE, ("sft", "preference"), ""),
        (PREPARE, ("preference", "sft"), "--pairs all --duplicates exact --min_reward 0.2"),
        (PREPARE, ("unpaired", "sft", "preference"), "--per_turn --reasoning tags"),
        (PREPARE, ("sft", "preference"), "--columns completion=answer rejected=worse --whole"),
        (CUSTOM, KINDS, "--select best --arguments text"),
    ],
)
def test_each_kind_is_what_a_run_of_its_own_writes(
    tmp_path: Path, rollouts: Path, script: Path, kinds: tuple[str, ...], options: str
) -> None:
    """Rows, held-out rows and counts; and the held-out prompts, which are the same for all."""
    known = [each for each in options.split() if "=" in each]
    expected: Files = {}
    for kind in kinds:
        mine = options if kind in {"sft", "unpaired"} else options.replace("--per_turn", "")
        if known:  # alone, a kind refuses names of the other
            own = known[0] if kind == "sft" else known[1]
            mine = options.replace(" ".join(known), own)
        expected |= alone(tmp_path, (kind,), mine, script)
    done = inside(script, tmp_path, f"{SOME} --kind {' '.join(kinds)} {options}")
    assert done.returncode == 0, done.stderr
    assert together(tmp_path, kinds) == expected


def test_the_manifest_and_the_table_of_each_kind_add_up(tmp_path: Path, rollouts: Path) -> None:
    done = inside(PREPARE, tmp_path, f"{SOME} --kind sft preference")
    tables = done.stdout.split("preference:\n")
    assert tables[0].startswith("sft:\n") and len(tables) == 2
    for kind, table in zip(("sft", "preference"), tables, strict=True):
        manifest = json.loads((tmp_path / f"out.{kind}.manifest.json").read_bytes())
        counts = manifest["counts"]
        out = sum(total(counts[key]) for key in ("rejected", "set aside", "removed"))
        assert counts["read"] == len(ROWS) == out + counts["rollouts"]
        assert f"{counts['training rows']:,}  training rows" in table
        assert manifest["output"] == f"out.{kind}.jsonl"
        assert manifest["options"]["recipe"]["kind"] == kind
    assert "wrote out.sft.jsonl\nwrote out.preference.jsonl" in done.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_many_spans_and_several_workers_change_nothing(
    tmp_path: Path, rollouts: Path, workers: int
) -> None:
    kinds = ("sft", "preference")
    expected = alone(tmp_path, kinds, "--duplicates exact", PREPARE)
    done = run(command("--kind sft preference --duplicates exact", workers), tmp_path)
    assert done.returncode == 0 and not left_behind(tmp_path), done.stderr
    assert together(tmp_path, kinds) == expected


@pytest.mark.parametrize("options", ["", "--duplicates normalised"])
def test_a_killed_run_is_continued(tmp_path: Path, rollouts: Path, options: str) -> None:
    """With rows that wait for the end, and rows that were joined while others were read."""
    kinds = ("sft", "preference")
    expected = alone(tmp_path, kinds, options, PREPARE)
    given = f"--eval_share 0.2 --kind sft preference {options}"
    killed(tmp_path, PREPARE, given)
    assert not [name for name in everything(tmp_path) if name.startswith("out")]
    spans = sorted((tmp_path / ".out.jsonl.work").glob("span-*/done.json"))
    report = json.loads(spans[0].read_bytes())
    spans[0].write_text(json.dumps({**report, "read": report["read"] + 1000}))
    done = run(command(given, 2), tmp_path)
    assert done.returncode == 0 and not left_behind(tmp_path), done.stderr
    found = together(tmp_path, kinds)
    for kind in kinds:
        read = json.loads(found.pop(f"counts of {kind}"))["read"]
        assert read == json.loads(expected.pop(f"counts of {kind}"))["read"] + 1000
    assert found == expected


@pytest.mark.long
def test_ray_makes_the_same_rows(tmp_path: Path, rollouts: Path, ray_python: str) -> None:
    kinds = ("sft", "preference")
    expected = alone(tmp_path, kinds, "", PREPARE)
    words = command("--kind sft preference --engine ray", 1, 60_000)
    environment = {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    done = subprocess.run(
        [ray_python, *words[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert together(tmp_path, kinds) == expected


PICKY = """
from rl_rollouts.commands import Config, prepare_command
from rl_rollouts.errors import Unusable, run
from rl_rollouts.frameworks import trl

def picky(rollout):
    if rollout.reward == 0.5:
        raise Unusable("half a reward")
    return trl.sft(rollout)

config = Config("trl_config.yaml", lambda _: "sft")
rows = trl.ROWS | {"sft": picky}
run(lambda: prepare_command(None, rows=rows, framework=trl, config=config))
"""


def test_what_one_kind_cannot_use_stays_with_the_other(tmp_path: Path, rollouts: Path) -> None:
    script = tmp_path / "picky.py"
    script.write_text(PICKY)
    kinds = ("sft", "preference")
    expected = alone(tmp_path, kinds, "", script)
    done = inside(script, tmp_path, f"{SOME} --kind sft preference")
    assert done.returncode == 0, done.stderr
    assert together(tmp_path, kinds) == expected
    sft, preference = (json.loads(expected[f"counts of {kind}"]) for kind in kinds)
    without = {"half a reward", *preference["set aside"]}
    assert without == {*sft["set aside"], *sft["rejected"]} - {*preference["rejected"]}
    noted = [json.loads(row) for row in (tmp_path / "rejected.jsonl").read_bytes().splitlines()]
    assert {row.get("kind") for row in noted if row["reason"] == "half a reward"} == {"sft"}
    assert all("kind" not in row for row in noted if row["reason"] != "half a reward")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--kind sft prompts", 2, "out.prompts.jsonl is the name of the held-out prompts"),
        ("--kind preference trajectories", 2, "There are no trajectories rows for trl"),
        ("--kind preference --per_turn", 2, "--per_turn is not for preference data"),
        ("--kind sft preference --columns nothing=x", 2, "sft and preference rows have no nothing"),
        ("--kind sft preference --per_turn --select one", 2, "--select one takes one row a task"),
        ("--kind sft preference --min_margin 9", 1, "none is left to train on with preference"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    tmp_path: Path, rollouts: Path, arguments: str, code: int, message: str
) -> None:
    before = everything(tmp_path)
    done = inside(PREPARE, tmp_path, f"{SOME} {arguments}")
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    after = everything(tmp_path)
    after.pop("rejected.jsonl", None)
    assert after == before


def test_none_of_the_outputs_may_be_an_input(tmp_path: Path) -> None:
    write(tmp_path / "out.preference.jsonl", *ROWS)
    done = inside(
        PREPARE, tmp_path, "--input out.preference.jsonl --output out.jsonl --kind sft preference"
    )
    assert done.returncode == 2 and "out.preference.jsonl is also an input" in done.stderr


def test_a_kind_that_is_named_twice_is_made_once(tmp_path: Path, rollouts: Path) -> None:
    done = inside(PREPARE, tmp_path, f"{SOME} --kind sft sft")
    assert done.returncode == 0 and (tmp_path / "out.jsonl").exists()
    assert not (tmp_path / "out.sft.jsonl").exists()


def test_parquet_and_shards_are_as_of_one_kind(tmp_path: Path, rollouts: Path) -> None:
    files = "--input in.jsonl --output out.parquet --max_bad_share 1 --shard_size 20kB"
    assert inside(PREPARE, tmp_path, f"{files} --kind preference").returncode == 0
    expected = {n.name: n.read_bytes() for n in tmp_path.glob("out*.parquet")}
    for path in tmp_path.glob("out*"):
        path.unlink()
    assert inside(PREPARE, tmp_path, f"{files} --kind sft preference").returncode == 0
    found = {n.name: n.read_bytes() for n in tmp_path.glob("out.preference*.parquet")}
    assert len(found) > 2
    assert found == {name.replace("out", "out.preference", 1): d for name, d in expected.items()}
