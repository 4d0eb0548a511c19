"""Run the contracts, or write the config schemas, of all frameworks or of those that are named.

python -m contracts [--schemas] [FRAMEWORK ...]
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from contracts.environment import ROOT, python, variables
from scaffolder.cli.output import print_table
from scaffolder.frameworks import discover

HERE = Path(__file__).resolve().parent


class Run(NamedTuple):
    """What became of one framework's contracts."""

    framework: str
    failed: bool
    ran: str
    not_run: list[str]


def folders() -> list[str]:
    """Frameworks with contracts, which have to be ones that discovery knows."""
    names = sorted(path.parent.name for path in HERE.glob("*/__init__.py"))
    assert set(names) <= set(discover()), f"contracts of unknown frameworks: {names}"
    return names


def run(framework: str) -> Run:
    """Every test of a framework's folder, in its environment."""
    print(f"\n{framework} {discover()[framework].version}", flush=True)
    not_run: dict[str, str] = getattr(import_module(f"contracts.{framework}"), "NOT_RUN", {})
    reasons = [f"{what}: {why}" for what, why in not_run.items()]
    begun = time.monotonic()
    try:
        interpreter = python(framework)
    except subprocess.CalledProcessError as error:
        return Run(framework, True, f"nothing: {error.cmd[2:5]} failed", reasons)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [interpreter, "-m", "pytest", HERE / framework, f"--junit-xml={report}"]
        code = subprocess.run(
            [*map(str, command), "-p", "no:cacheprovider"], cwd=ROOT, env=variables(framework)
        ).returncode
        ran, skipped = _counted(report)
    ran += f" in {time.monotonic() - begun:.0f} s" + (
        f" (pytest ended with {code})" if code else ""
    )
    return Run(framework, code != 0, ran, reasons + skipped)


def _counted(report: Path) -> tuple[str, list[str]]:
    """How many tests of each file ran, and what was skipped."""
    if not report.is_file():
        return "nothing", []
    counts: Counter[str] = Counter()
    skipped = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "").rpartition(".")[2].removeprefix("test_")
        reason = case.find("skipped")
        if reason is None:
            counts[name] += 1
        else:
            skipped.append(f"{case.get('name')}: {reason.get('message')}")
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())), skipped


def schemas(framework: str) -> bool:
    """Write the schema of a framework; whether that failed."""
    command = [str(python(framework)), "-W", "ignore", "-m", "contracts.extraction", framework]
    return subprocess.run(command, cwd=ROOT, env=variables(framework)).returncode != 0


def main(arguments: list[str]) -> int:
    names = [word for word in arguments if not word.startswith("-")] or folders()
    if "--schemas" in arguments:
        return int(sum(schemas(name) for name in names) > 0)
    runs = [run(name) for name in names]
    rows = [
        [
            f"{each.framework} {discover()[each.framework].version}",
            "FAILED" if each.failed else "passed",
            each.ran,
            "\n".join(each.not_run),
        ]
        for each in runs
    ]
    print()
    print_table(["framework", "contracts", "what ran", "what could not run here, and why"], rows)
    return int(any(each.failed for each in runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
