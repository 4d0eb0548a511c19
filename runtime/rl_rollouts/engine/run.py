"""One run from inputs to outputs: what is read, where the work lies, and how it ends."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..data.read import Advance, Span, find, is_stream, name_of, size_of, size_on_disk, spans
from ..errors import UserError
from . import manifest
from .deliver import deliver
from .engine import Engine, EngineName, processors, start
from .gather import Part, Spans
from .index import partitions_for
from .joined import joining
from .manifest import Counts, print_counts
from .parquet import Columns
from .progress import progress
from .stage import Job, LeftOut, Report, add, run_span
from .streams import EVALUATION, TRAIN
from .work import PLAN, Work, plan_of, span_folder, working
from .write import Output, beside, explained

SMALLEST_SPAN = 32 * 2**20
LARGEST_SPAN = 2**30
"""Bytes. A span is what is done again after a run was killed."""
SPANS_PER_WORKER = 8
FEW_LINES = 1000
"""From here on a share of bad lines means something, and a run is stopped early."""


class Options(msgspec.Struct, frozen=True):
    """What every step is told."""

    inputs: tuple[str, ...]
    output: Path
    max_bad_share: float = 0.01
    """Share of lines that may be no rollouts, 0 to 1."""
    shard_size: int = 2**32
    """Bytes of rows from which an output is divided into several files."""
    workers: int = 1
    engine: EngineName = "local"


class Delivery(NamedTuple):
    """What a run gives to its outputs, of one kind."""

    output: Path
    """The manifest stands beside it."""
    files: Mapping[Path, Sequence[Part]]
    """All outputs, the one with the rows to train on first."""
    counts: Counts
    chosen: Mapping[str, Any]
    remedy: str
    """What to do when there is no row."""
    columns: Columns | None = None
    """Of the rows, for parquet."""
    name: str = ""
    """The kind, where there are several."""


class Run:
    """The state of one run."""

    def __init__(
        self, options: Options, job: Job, files: Sequence[Path], parts: Sequence[Span],
        work: Work, engine: Engine,
    ) -> None:  # fmt: skip
        self.folder = work.folder
        self.engine = engine
        self._options = options
        self.job = job
        self._files = files
        self._parts = parts
        self._reports: list[Report] = []
        self._sources: dict[str, manifest.Source] = {}

    def read(self, title: str) -> Spans:
        """The first stage: every span, counted, with the lines that were left out noted."""
        whole = {part.file for part in self._parts if part.is_file}
        summed = [path for path in self._files if str(path) not in whole]
        numbered = list(enumerate(self._parts))
        step = partial(_work, job=self.job, folder=self.folder)
        sizes = [size_on_disk(part) for part in self._parts]
        streams = self._joined()
        joined = joining(self.folder, streams) if streams else nullcontext()
        with progress(title, size_of(self._files) or None, "B") as bar, joined as rows:
            if self.engine.alone:
                step = partial(step, advance=lambda more, _: bar.update(more))
            for report in self.engine.map(step, [*summed, *numbered]):
                if isinstance(report, manifest.Source):
                    self._sources[report.file] = report
                    continue
                self._reports.append(report)
                if rows is not None:
                    rows.take(len(self._reports) - 1, report)
                if not self.engine.alone:
                    bar.update(report.bytes)
                if not any(map(is_stream, self._files)):
                    self._stop_when_bad(sum(sizes[: len(self._reports)]), sum(sizes))
        self._write_rejected()
        self._stop_when_bad()
        folders = [span_folder(self.folder, number) for number, _ in numbered]
        partitions = self.job.partitions
        return Spans(folders, self._parts, self._reports, partitions, self.folder, streams)

    def _joined(self) -> frozenset[int]:
        """Streams whose rows all stay as they are: they need not wait for the end."""
        if len(self._parts) == 1:
            return frozenset()
        makings = [making for making in self.job.makings if not making.compared]
        return frozenset(each.stream(side) for each in makings for side in (TRAIN, EVALUATION))

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """Give the files of rows their names, all together, with a manifest of each kind.

        Raises:
            UserError: when a kind has no row to train on.
        """
        for each in deliveries:
            _demand_rows(each)
        options, sources = self._options, self._sources_read()
        notes = {
            beside(each.output, ".manifest.json"): manifest.encode(
                each.output, sources, each.chosen, each.counts
            )
            for each in deliveries
        }
        files = {path: parts for each in deliveries for path, parts in each.files.items()}
        columns = {path: each.columns for each in deliveries for path in each.files}
        # Rows move from the work folder into the outputs: from here on it cannot be continued.
        (self.folder / PLAN).unlink()
        deliver(files, columns, options.shard_size, notes)
        for each in deliveries:
            print_counts(each.counts, each.name)
        self._say_unread()
        for each in deliveries:
            print(f"wrote {name_of(each.output)}")

    def _say_unread(self) -> None:
        """Keys that may have said what should be learned; a row cannot tell."""
        if keys := dict.fromkeys(key for report in self._reports for key in report.unread):
            print(
                f"not read: {', '.join(keys)}, which look as if they said what should be learned; "
                "if they do, say so in `keep` or `change`",
                file=sys.stderr,
            )

    def _sources_read(self) -> list[manifest.Source]:
        digests = {
            part.file: report.digest
            for part, report in zip(self._parts, self._reports, strict=True)
        }
        return [
            self._sources.get(name_of(path)) or manifest.source(path, digests[str(path)])
            for path in self._files
        ]

    @property
    def rejected(self) -> Path:
        return self._options.output.with_name("rejected.jsonl")

    def counts(self, number: int = 0) -> dict[str, int | dict[str, int]]:
        """What was read for one of the kinds, and what of it was left out."""
        out, removed = LeftOut(rejected={}, aside={}), dict[str, int]()
        for report in self._reports:
            for left in (report.out, report.kinds[number]):
                add(out.rejected, left.rejected)
                add(out.aside, left.aside)
            add(removed, report.removed)
        read = sum(report.read for report in self._reports)
        return {"read": read, "rejected": out.rejected, "set aside": out.aside, "removed": removed}

    def _write_rejected(self) -> None:
        """Number the lines from the beginning of their file, where a span began in its middle."""
        rejected = self.rejected
        left = [each for report in self._reports for each in (report.out, *report.kinds)]
        if not any(each.rejected or each.aside for each in left):
            if not _is_about_others(rejected, self._files):
                with explained(rejected):
                    rejected.unlink(missing_ok=True)
            return
        with Output(rejected) as output:
            before = 0
            for number, (part, report) in enumerate(zip(self._parts, self._reports, strict=True)):
                before = before if part.start else 0
                with suppress(FileNotFoundError):
                    noted = (span_folder(self.folder, number) / "rejected.jsonl").open("rb")
                    with noted:
                        for line in noted:
                            row = msgspec.json.decode(line)
                            output.write({**row, "line": row["line"] + before})
                before += report.lines

    def _stop_when_bad(self, seen: int = 0, total: int = 0) -> None:
        """Stop as soon as the share is almost certain to be exceeded, or at the end.

        Args:
            seen: bytes of the parts that are done, as they lie on the disk.
            total: bytes of all parts, while they are being read; none at the end.
        """
        bad, number = max((self._bad(kind), -kind) for kind in range(len(self.job.makings)))
        everything = read = sum(report.read for report in self._reports)
        if total:
            read = max(FEW_LINES, read * 2 * total // max(1, seen))
        share = self._options.max_bad_share
        if not bad or bad / read <= share:
            return
        if total:
            self._parts = self._parts[: len(self._reports)]
            self._write_rejected()
        print_counts(self.counts(-number))
        raise UserError(
            f"{bad} of {everything} lines are no rollouts, which is more than the share "
            f"of {share:g} that is allowed.",
            f"See {self.rejected} for each line and reason. Mend the file, or allow more "
            "with --max_bad_share. No output was changed.",
            exit_code=1,
        )

    def _bad(self, number: int) -> int:
        """Lines that are a sign of damage, for one of the kinds."""
        left = [each for r in self._reports for each in (r.out, r.kinds[number])]
        return sum(sum(each.rejected.values()) - each.cut for each in left)


def _demand_rows(delivery: Delivery) -> None:
    train, *_ = delivery.files.values()
    if train:
        return
    print_counts(delivery.counts, delivery.name)
    read, data = delivery.counts["read"], delivery.name and f" with {delivery.name} data"
    raise UserError(
        f"Of {read} lines none is left to train on{data}; no output was changed.",
        f"The table says why each was left out. {delivery.remedy}",
        exit_code=1,
    )


def _is_about_others(rejected: Path, files: Sequence[Path]) -> bool:
    """Whether notes of an earlier run are about other files, as the filter's are when preparing."""
    try:
        with rejected.open("rb") as lines:
            noted = msgspec.json.decode(lines.readline(), type=dict[str, Any])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return False
    return noted.get("file") not in {str(path) for path in files}


def _work(
    part: Path | tuple[int, Span], job: Job, folder: Path, advance: Advance = lambda *_: None
) -> manifest.Source | Report:
    """The checksum of a file that no single span reads, or the work of a span."""
    if isinstance(part, Path):
        return manifest.source(part)
    return run_span(part, job, folder, advance)


@contextmanager
def running(
    options: Options, job: Job, chosen: Mapping[str, Any], outputs: Sequence[Path]
) -> Iterator[Run]:
    """A run that is ready to read.

    Args:
        chosen: what tells this run from others on the same files.
        outputs: all files that it will write.
    """
    files = find(options.inputs)
    _refuse_overwriting(files, outputs)
    streams = any(map(is_stream, files))
    if streams and options.engine == "ray":
        raise UserError(
            "--engine ray cannot read stdin or a pipe.",
            "Give files that every node can read, or leave out --engine.",
        )
    total = size_of(files)
    workers = 1 if streams or total < 2 * SMALLEST_SPAN else options.workers or min(8, processors())
    size = LARGEST_SPAN if workers == 1 and options.engine == "local" else total // (
        SPANS_PER_WORKER * workers
    )  # fmt: skip
    parts = spans(files, min(LARGEST_SPAN, max(SMALLEST_SPAN, size)))
    job = job._replace(partitions=partitions_for(total))
    plan = plan_of(files, parts, chosen)
    workers = min(workers, len(parts))
    with (
        working(options.output, plan) as work,
        start(options.engine, workers, work.lock) as engine,
        explained(options.output),
    ):
        yield Run(options, job, files, parts, work, engine)


def _refuse_overwriting(files: Sequence[Path], outputs: Sequence[Path]) -> None:
    for output in outputs:
        if any(not is_stream(f) and output.exists() and f.samefile(output) for f in files):
            raise UserError(f"{output} is also an input.", "Choose another --output.")
