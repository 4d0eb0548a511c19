"""mypy --strict over the tool, and over each framework's plain Python as it stands in a project.

A project's modules import each other from its root, so every framework is checked as one rendered
project, and under the settings of the tool.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scaffolder.frameworks import discover

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    folders = [path for path in (ROOT / "templates").rglob("{{*}}") if path.is_dir()]
    folders.append(ROOT / "runtime")
    overlays = os.pathsep.join(map(str, folders))
    failed = [
        mypy(
            ROOT,
            "scaffolder",
            "runtime/rl_rollouts",
            "tests",
            *map(str, (ROOT / "docs").glob("*.py")),
            *map(str, (ROOT / "examples").glob("*.py")),
            *map(str, (ROOT / "benchmarks").glob("*.py")),
            MYPYPATH=overlays,
        )
    ]
    # The first algorithm and the last: one that reads data, and one that generates if there is one.
    ends = {
        (name, algorithms[end])
        for name, framework in discover().items()
        for algorithms in [list(framework.algorithms)]
        for end in (0, -1)
    }
    for name, algorithm in sorted(ends):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder) / name
            new = ["new", str(project), "--framework", name, "--algorithm", algorithm]
            subprocess.run(
                [sys.executable, "-m", "scaffolder", *new, "--yes", "--json"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            failed.append(mypy(project, "."))
    sys.exit(any(failed))


def mypy(where: Path, *targets: str, **environment: str) -> bool:
    # One cache: what is installed is the same for all, and most of the work.
    shared = [
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    command = [sys.executable, "-m", "mypy", *shared, *targets]
    return subprocess.run(command, cwd=where, env={**os.environ, **environment}).returncode != 0


if __name__ == "__main__":
    main()
