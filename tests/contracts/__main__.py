"""Run the contracts, or write the config schemas, of all frameworks or of those that are named.

python -m contracts [--schemas] [FRAMEWORK ... | runs]

`runs` are the suite's own long tests (trainings, kills), in the environment of `make test`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from contracts.environment import ROOT, python, variables
from scaffolder.cli.output import print_table
from scaffolder.frameworks import discover

HERE = Path(__file__).resolve().parent
TWO_AT_A_TIME = ("-n", "2", "-m", "not alone")
ALONE = ("-m", "alone")
LONG = ("-n", "2", "-m", "long")
RUNS = "runs"
NOTHING_TO_RUN = 5
"""Exit code of pytest."""


class Run(NamedTuple):
    """What became of one framework's contracts."""

    title: str
    failed: bool
    ran: str
    not_run: list[str]


def folders() -> list[str]:
    """Frameworks with contracts, which have to be ones that discovery knows."""
    names = sorted(path.parent.name for path in HERE.glob("*/__init__.py"))
    assert set(names) <= set(discover()), f"contracts of unknown frameworks: {names}"
    return names


def run(framework: str, interpreter: Path | Exception) -> Run:
    """Every test of a framework's folder, in its environment, unless it could not be made."""
    title = f"{framework} {discover()[framework].version}"
    print(f"\n{title}", flush=True)
    not_run: dict[str, str] = getattr(import_module(f"contracts.{framework}"), "NOT_RUN", {})
    reasons = [f"{what}: {why}" for what, why in not_run.items()]
    if isinstance(interpreter, Exception):
        return Run(title, True, f"nothing: {interpreter}", reasons)
    test = [str(interpreter), "-m", "pytest", str(HERE / framework), "-p", "no:cacheprovider"]
    found = _tested(title, test, (TWO_AT_A_TIME, ALONE), variables(framework))
    return found._replace(not_run=reasons + found.not_run)


def long_runs() -> Run:
    """The suite's own long tests."""
    title = "projects, long runs"
    print(f"\n{title}", flush=True)
    test = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    return _tested(title, test, (LONG,), dict(os.environ))


def _tested(
    title: str, test: Sequence[str], ways: Sequence[Sequence[str]], environment: dict[str, str]
) -> Run:
    """Run pytest once in each way; of the first there has to be something."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / f"{number}.xml" for number in range(len(ways))]
        codes = [
            subprocess.run(
                [*test, "-o", "junit_family=xunit1", f"--junit-xml={report}", *how],
                cwd=ROOT,
                env=environment,
            ).returncode
            for report, how in zip(reports, ways, strict=True)
        ]
        ran, skipped = _counted(reports)
    failed = [code for code in codes if code not in (0, NOTHING_TO_RUN)]
    ran += f" in {time.monotonic() - begun:.0f} s"
    ran += "".join(f" (pytest ended with {code})" for code in failed)
    return Run(title, bool(failed) or codes[0] != 0, ran, skipped)


def made(framework: str) -> Path | Exception:
    """The interpreter of a framework's environment, or why there is none."""
    try:
        return python(framework)
    except subprocess.CalledProcessError as error:
        return error


def _counted(reports: Sequence[Path]) -> tuple[str, list[str]]:
    """How many tests of each file ran, and what was skipped."""
    trees = [ElementTree.parse(report) for report in reports if report.is_file()]
    if not trees:
        return "nothing", []
    counts: Counter[str] = Counter()
    skipped = []
    for case in (each for tree in trees for each in tree.iter("testcase")):
        name = case.get("classname", "").rpartition(".")[2].removeprefix("test_")
        reason = case.find("skipped")
        if reason is None:
            counts[name] += 1
        else:
            skipped.append(f"{case.get('name')}: {reason.get('message')}")
    said = [each.get("value", "") for tree in trees for each in tree.iter("property")]
    ran = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return "\n".join([*said, ran]), skipped


def schemas(framework: str) -> bool:
    """Write the schema of a framework; whether that failed."""
    command = [str(python(framework)), "-W", "ignore", "-m", "contracts.extraction", framework]
    return subprocess.run(command, cwd=ROOT, env=variables(framework)).returncode != 0


def main(arguments: list[str]) -> int:
    wanted = [word for word in arguments if not word.startswith("-")] or [*folders(), RUNS]
    names = [name for name in wanted if name != RUNS]
    if "--schemas" in arguments:
        return int(sum(schemas(name) for name in names) > 0)
    with ThreadPoolExecutor(2) as pool:  # pip waits for disks and indexes as often as it computes
        interpreters = list(pool.map(made, names))
    runs = [run(*each) for each in zip(names, interpreters, strict=True)]
    runs += [long_runs()] if RUNS in wanted else []
    rows = [
        [
            each.title,
            "FAILED" if each.failed else "passed",
            each.ran,
            "\n".join(each.not_run),
        ]
        for each in runs
    ]
    print()
    print_table(["", "contracts", "what ran", "what could not run here, and why"], rows)
    return int(any(each.failed for each in runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
