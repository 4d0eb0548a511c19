"""Whether extras of a project are installed, before anything is done that needs them.

    python -m rl_rollouts.installed train gpu

`train` is what `make install` brings, `gpu` what `make install-gpu` brings beside it, with what is
compiled then. Only names are looked at: a container has versions of its own.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from .errors import UserError, run

NAME = re.compile(r"[\w.-]+")
REMEDIES = {
    "train": "Run `make install` first.",
    "gpu": "Training needs it: run `make install-gpu` first, on a machine with GPUs.",
}


def main() -> None:
    content = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    for extra in sys.argv[1:]:
        if missing := [each for each in wanted(content, extra) if not _is_there(each)]:
            names = ", ".join(missing)
            raise UserError(f"Not installed in {sys.prefix}: {names}.", REMEDIES[extra])


def wanted(content: dict[str, Any], extra: str) -> list[str]:
    """Requirements of an extra, with those that pip compiles after them."""
    compiled = content["tool"]["rl-rollouts"].get("compiled", ()) if extra == "gpu" else ()
    return [*content["project"]["optional-dependencies"].get(extra, ()), *compiled]


def _is_there(requirement: str) -> bool:
    name = NAME.match(requirement)
    try:
        distribution(name[0] if name else requirement)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    run(main)
