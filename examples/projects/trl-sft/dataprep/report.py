"""Print what became of the rollouts: python -m dataprep.report filtered.manifest.json ..."""

import argparse
from pathlib import Path

from . import manifest
from .errors import run
from .pipeline import print_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", nargs="+", type=Path, help="written beside each output")
    for path in parser.parse_args().manifests:
        report = manifest.read(path)
        for source in report.inputs:
            size = "" if source.bytes is None else f" ({source.bytes:,} bytes)"
            print(f"from {source.file}{size}")
        print_counts(report.counts)
        print(f"in {path.with_name(report.output)}\n")


if __name__ == "__main__":
    run(main)
