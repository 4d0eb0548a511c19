"""Print what became of the rollouts: python -m dataprep.report filtered.manifest.json ..."""

import argparse
from pathlib import Path

import msgspec

from .errors import UserError, run
from .pipeline import print_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", nargs="+", type=Path, help="written beside each output")
    for path in parser.parse_args().manifests:
        try:
            manifest = msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise UserError(f"Cannot read {path}: {error}.", "Run `make prepare` first.") from None
        for source in manifest["inputs"]:
            print(f"from {source['file']} ({source['bytes']:,} bytes)")
        print_counts(manifest["counts"], path.with_name(manifest["output"]))
        print()


if __name__ == "__main__":
    run(main)
