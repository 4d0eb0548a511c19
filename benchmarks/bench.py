"""Measure data preparation against its targets.

    python benchmarks/bench.py

Programs are run in pairs, one after the other, over and over; a ratio is taken within each pair and
the median of the ratios is the figure, so that a busy machine does less harm. CPU is user and
system time of a whole process with its children, start-up included. Exit code 1: a target is
missed.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import programs
from generate import SHAPES, VERSION, bytes_of, generate
from measure import Cost, Failed, Job, Ratios, Scratch, warm
from table import Figure, Runs, at_least, at_most, markdown, megabytes, write

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("json", "datasets", "workers")

MOST_CPU = {"filter": 1.5, "sft": 2.0, "dpo": 2.5}
"""Times the CPU of orjson.loads over the same lines. To decode what is needed of a line and to copy
lines, without a line of Python, takes 1.3."""
MOST_OF_JSON = 0.5
"""Of the CPU of the json script that makes rows for sft and dpo in one pass."""
LEAST_AGAINST_DATASETS = 10.0
LEAST_SPEED_UP = 1.6
"""Of two workers against one, in wall time."""
MOST_MEMORY = 64e6
"""Bytes of a process."""
MOST_MEMORY_BIG = 256e6
WARM_UP_BYTES = 2_000_000
ROOM = 3.5
"""Times the size of a file: itself, the outputs, and what is spilled on the way."""


class Bench:
    """Runs programs, and keeps what each run cost."""

    def __init__(self, scratch: Scratch, project: Path, seed: int, rounds: int) -> None:
        self.scratch = scratch
        self.scripts = programs.Scripts(project, scratch.folder, scratch.outputs)
        self.rounds = rounds
        self.seed = seed
        self.runs: dict[tuple[str, int, Path], Runs] = {}
        self.figures: list[Figure] = []
        self.notes: list[str] = []

    def rollouts(self, size: int, mess: str = "all", shape: str = "long") -> Path:
        """A generated file in the page cache; its statistics stand beside it."""
        name = f"rollouts-v{VERSION}-seed{self.seed}-{size}-{mess}-{shape}"
        path = self.scratch.folder / f"{name}.jsonl"
        if not path.exists():
            self._demand_room(size)
            print(f"generating {path}", flush=True)
            partial = path.with_suffix(".part")
            with partial.open("wb", buffering=2**20) as output:
                survey = generate(output, size, seed=self.seed, mess=mess, shape=shape)
            path.with_suffix(".txt").write_text(str(survey))
            partial.replace(path)
        warm(path)
        return path

    def warm_up(self, jobs: Sequence[Job]) -> None:
        """Run each once unmeasured, so that libraries and bytecode are in the page cache."""
        for job in jobs:
            self._succeed(job)

    def _succeed(self, job: Job) -> Cost:
        try:
            return self.scratch.run(job)
        except Failed as failure:
            raise SystemExit(
                f"error: {job.name} failed: {failure}\nAll it said is in {self.scratch.log}."
            ) from None

    def run(self, job: Job, source: Path) -> Cost:
        size = source.stat().st_size
        cost = self._succeed(job)
        kind = (job.name, job.workers, source)
        runs = Runs(job.name, job.workers, size, _shape(source), [])
        self.runs.setdefault(kind, runs).costs.append(cost)
        print(
            f"{cost.cpu:8.2f} s CPU {cost.wall:8.2f} s wall {megabytes(cost.peak):>9}  "
            f"{job.name}, {job.workers} worker(s), {megabytes(size)} {_shape(source)}",
            flush=True,
        )
        return cost

    def pairs(self, one: Job, other: Job, source: Path) -> list[tuple[Cost, Cost]]:
        """One, other, one, other: what happens on the machine meanwhile happens to both."""
        return [(self.run(one, source), self.run(other, source)) for _ in range(self.rounds)]

    def _demand_room(self, size: int) -> None:
        free = shutil.disk_usage(self.scratch.folder).free
        if free < ROOM * size:
            raise SystemExit(
                f"error: {self.scratch.folder} has {megabytes(free)} free, and "
                f"{megabytes(ROOM * size)} are needed. Give --scratch another folder."
            )


def _shape(source: Path) -> str:
    """Of the rollouts of a generated file."""
    return source.stem.rpartition("-")[2]


def against_parsing(bench: Bench, source: Path, shape: str) -> None:
    steps = zip(MOST_CPU.values(), bench.scripts.all(source), strict=True)
    for most, job in steps:
        both = bench.pairs(job, programs.orjson(source), source)
        ratios = Ratios([ours.cpu / parsing.cpu for ours, parsing in both])
        what = f"{shape} rollouts: CPU of {job.name}, times that of orjson.loads"
        bench.figures.append(at_most(what, ratios.median, str(ratios), most))


def against_json(bench: Bench, source: Path, shape: str) -> None:
    ours = bench.scripts.both(source)
    script = programs.json_script("both", source, bench.scratch.outputs)
    both = bench.pairs(ours, script, source)
    ratios = Ratios([our.cpu / their.cpu for our, their in both])
    what = f"{shape} rollouts: CPU of {ours.name}, times that of the json script"
    bench.figures.append(at_most(what, ratios.median, str(ratios), MOST_OF_JSON))


def against_datasets(bench: Bench, size: int) -> None:
    outputs = bench.scratch.outputs
    for mess, holds in (
        ("all", "broken lines and fields that change their type"),
        ("types", "fields that change their type, no broken lines"),
    ):
        source = bench.rollouts(size, mess)
        try:
            bench.scratch.run(programs.datasets(source, outputs))
        except Failed as failure:
            bench.notes.append(f"datasets stops at a file with {holds}: `{failure}`")
    source = bench.rollouts(size, "none")
    both = bench.pairs(bench.scripts.good_rows(source), programs.datasets(source, outputs), source)
    ratios = Ratios([theirs.cpu / ours.cpu for ours, theirs in both])
    name = (
        f"sft rows of good rollouts, {megabytes(size)} without any such trouble: "
        "CPU of datasets, times ours"
    )
    bench.figures.append(at_least(name, ratios.median, str(ratios), LEAST_AGAINST_DATASETS))


def two_workers(bench: Bench, source: Path) -> None:
    if not bench.scripts.has_workers:
        target = f"at least {LEAST_SPEED_UP:g}"
        figure = Figure("Two workers against one", "the scripts have no --workers", target, False)
        bench.figures.append(figure)
        return
    for alone, shared in zip(bench.scripts.all(source), bench.scripts.all(source, 2), strict=True):
        both = bench.pairs(alone, shared, source)
        ratios = Ratios([one.wall / two.wall for one, two in both])
        what = (
            f"{_shape(source)} rollouts: wall of {alone.name} with one worker, times that with two"
        )
        bench.figures.append(at_least(what, ratios.median, str(ratios), LEAST_SPEED_UP))


def memory(bench: Bench, source: Path, limit: float) -> None:
    """The largest process of all our runs on a file."""
    ours = {job.name for job in (*bench.scripts.all(source), bench.scripts.both(source))}
    peak = max(
        cost.peak
        for (program, _, read), runs in bench.runs.items()
        if program in ours and read == source
        for cost in runs.costs
    )
    size = megabytes(source.stat().st_size)
    what = f"{_shape(source)} rollouts: peak memory of a process at {size}"
    bench.figures.append(at_most(what, peak / 1e6, megabytes(peak), limit / 1e6, " MB"))


def main() -> None:
    options = _options()
    if sys.platform != "linux":
        raise SystemExit("error: CPU and memory of children are read as Linux counts them.")
    bench = Bench(Scratch(options.scratch), options.project, options.seed, options.rounds)
    small = bench.rollouts(WARM_UP_BYTES)
    bench.warm_up([*bench.scripts.all(small), programs.orjson(small)])
    sources = {shape: bench.rollouts(options.size, shape=shape) for shape in SHAPES}
    for shape, source in sources.items():
        against_parsing(bench, source, shape)
        if "json" not in options.skip:
            against_json(bench, source, shape)
    source = sources["long"]
    if "datasets" not in options.skip:
        against_datasets(bench, options.datasets_size)
    if "workers" not in options.skip:
        two_workers(bench, source)
    for each in sources.values():
        memory(bench, each, MOST_MEMORY)
    if options.big:
        big = bench.rollouts(options.big)
        for job in bench.scripts.all(big):
            bench.run(job, big)
        memory(bench, big, MOST_MEMORY_BIG)
    surveys = {shape: path.with_suffix(".txt").read_text() for shape, path in sources.items()}
    text = markdown(bench.figures, list(bench.runs.values()), bench.notes, surveys)
    print(f"\n{text}")
    if options.markdown:
        write(text, options.markdown)
    sys.exit(not all(figure.met for figure in bench.figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=bytes_of, default="1GB", help="of each generated file (default 1GB)")
    add("--datasets_size", type=bytes_of, default="128MB", help="of the file for datasets")
    add("--big", type=bytes_of, help="also measure memory on a file of this size, such as 10GB")
    add("--rounds", type=int, default=3, help="pairs of runs for each figure (default 3)")
    add("--skip", nargs="+", choices=PARTS, default=[], help="comparisons to leave out")
    add("--seed", type=int, default=0)
    add("--scratch", type=Path, default=ROOT / ".bench", help="folder for files (default .bench)")
    add("--project", type=Path, default=ROOT / "examples" / "projects" / "trl-sft")
    add("--markdown", type=Path, help="file whose measured part is replaced")
    return parser.parse_args()


if __name__ == "__main__":
    main()
