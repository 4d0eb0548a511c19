"""CPU of `rl-scaffolder --version` and of a completion, relative to `import typer`.

    python benchmarks/startup.py

Exit code 1 above the target. `tests/test_cli.py` holds the cause: what is imported.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

ROUNDS = 15
TARGET = 1.3


def main() -> None:
    python = sys.executable
    program = str(Path(python).with_name("rl-scaffolder"))
    commands = {
        "typer": [python, "-c", "import typer"],
        "version": [python, program, "--version"],
        "completion": [python, program],
    }
    completing = {
        "_RL_SCAFFOLDER_COMPLETE": "complete_bash",
        "COMP_WORDS": "rl-scaffolder new --algorithm ",
        "COMP_CWORD": "3",
    }
    costs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            environment = os.environ | (completing if name == "completion" else {})
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            costs[name].append(cpu(command, environment))
    best = {name: min(values) for name, values in costs.items()}
    ratios = {name: best[name] / best["typer"] for name in ("version", "completion")}
    print(json.dumps({**ratios, "target": TARGET}))
    sys.exit(max(ratios.values()) > TARGET)


def cpu(command: list[str], environment: dict[str, str]) -> float:
    """User and system seconds of one child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
