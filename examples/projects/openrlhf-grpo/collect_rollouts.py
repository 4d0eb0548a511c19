"""Collect rollouts with NeMo Gym.

    python collect_rollouts.py --agent my_agent --tasks tasks.jsonl --output rollouts.jsonl

Calls NeMo Gym's own command and adds what it does not do: it refuses to write over rollouts that
are there, and says how to install NeMo Gym, which needs Python 3.12 and an environment of its own.
The servers of the environment must be running (`ng_run`).
"""

import argparse
import os
import shlex
import shutil
from pathlib import Path

from rl_rollouts.errors import UserError, run

COMMAND = "ng_collect_rollouts"
"""NeMo Gym v0.3's name, which later versions keep as well."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agent", required=True, help="name of the agent in NeMo Gym's config")
    parser.add_argument("--tasks", type=Path, required=True, help="JSONL of tasks")
    parser.add_argument("--output", type=Path, required=True, help="JSONL to write")
    arguments, more = parser.parse_known_args()
    if not arguments.tasks.is_file():
        raise UserError(f"{arguments.tasks} is not there.", "Give --tasks a JSONL file of tasks.")
    if arguments.output.exists():
        raise UserError(f"{arguments.output} is there already.", "Choose another --output.")
    program = shutil.which(COMMAND)
    if program is None:
        raise UserError(
            f"{COMMAND} is not on the PATH.",
            "Install NeMo Gym (https://github.com/NVIDIA-NeMo/Gym) in an environment of its own "
            "and activate it. Rollouts that you have need no NeMo Gym.",
        )
    command = [
        COMMAND,
        f"+agent_name={arguments.agent}",
        f"+input_jsonl_fpath={arguments.tasks}",
        f"+output_jsonl_fpath={arguments.output}",
        *more,
    ]
    print(f"$ {shlex.join(command)}", flush=True)
    os.execv(program, command)


if __name__ == "__main__":
    run(main)
