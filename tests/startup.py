"""CPU of `rl-scaffolder --version` and of a completion, relative to `import typer`. Prints JSON."""

import json
import os
import resource
import subprocess
import sys

ROUNDS = 15


def main(program: str) -> None:
    python = sys.executable
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
    print(json.dumps({name: best[name] / best["typer"] for name in ("version", "completion")}))


def cpu(command: list[str], environment: dict[str, str]) -> float:
    """User and system seconds of one child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main(sys.argv[1])
