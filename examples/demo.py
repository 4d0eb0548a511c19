"""`make demo`: from the sample rollouts to a trained model, on a CPU, as a user would do it."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "demo"
ROLLOUTS = ROOT / "examples" / "rollouts" / "shop.jsonl"


def main() -> None:
    began = time.monotonic()
    print(
        "Takes one minute, and the download of torch and TRL: about 3 GB from PyPI on Linux, once."
    )
    shutil.rmtree(PROJECT, ignore_errors=True)
    run(
        [
            *(sys.executable, "-m", "scaffolder", "new", str(PROJECT), "--yes"),
            *("--framework", "trl", "--algorithm", "sft", "--rollouts", str(ROLLOUTS)),
        ]
    )
    project_make("install", f"SYSTEM_PYTHON={shlex.quote(sys.executable)}")
    project_make("smoke", f"SMOKE={shlex.quote(str(ROLLOUTS))}")
    minutes = (time.monotonic() - began) / 60
    print(f"\nDone in {minutes:.1f} minutes. A model was trained on {ROLLOUTS.name}; look at")
    for name, what in (
        ("", "the project: its README says how to go on"),
        ("smoke/filtered.jsonl", "the rollouts that were kept"),
        ("smoke/training_data.jsonl", "the rows made of them"),
        ("smoke/run/log.jsonl", "the loss curve"),
        ("smoke/run/final", "the trained model, a Hugging Face folder"),
    ):
        print(f"  {(PROJECT / name).relative_to(ROOT)!s:<32} {what}")
    print("A model this small learns the form of the answers, not the sums: look at the loss.")
    print("\nNext:")
    print("  .venv/bin/rl-scaffolder frameworks         # what can be rendered")
    print("  .venv/bin/rl-scaffolder new my-project     # your own project: asks, then renders")
    print("  cd demo && make test                       # the tests of the rendered project")


def project_make(*arguments: str) -> None:
    """`make` in the project, with its own environment and nothing of ours."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    run(["make", "--no-print-directory", *arguments], environment)


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    print(f"\n$ {shlex.join(command)}", flush=True)
    where = PROJECT if environment else ROOT
    code = subprocess.run(command, cwd=where, env=environment).returncode
    if code:
        sys.exit(f"error: the command above ended with exit code {code}")


if __name__ == "__main__":
    main()
