"""An adapter to a training system of your own: fill in what is marked (1) to (3).

As it stands it describes a job in JSON and runs a command with it, which has to wait for the end:

    trainer: my_trainer:MyTrainer
    trainer_config: {command: [our-trainer, run, --job]}
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from custom_settings import Settings
from rl_rollouts.config import refuse
from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError
from rl_rollouts.validate import check_rows
from rl_rollouts.values import KINDS


class MyTrainer:
    """See `rl_rollouts.trainers`."""

    def check(self, data: Path, config: Settings) -> None:
        """Refuse what would fail, before anything is started."""
        command, final = config.trainer_config.get("command"), config.output_dir / "final"
        problems = []
        if not isinstance(command, list) or not command:
            problems.append("trainer_config has no command; add `command: [word, word]`")
        elif not shutil.which(str(command[0])):
            problems.append(
                f"trainer_config: there is no program {command[0]}; correct the command"
            )
        if final.exists():
            problems.append(f"{final} is of an earlier run; choose another output_dir, or move it")
        if problems:
            raise refuse(problems)
        count = check_rows(data, KINDS[config.algorithm])
        if os.environ.get("RANK", "0") == "0":
            print(f"{count:,} rows are as they should be", flush=True)

    def train(self, data: Path, config: Settings) -> Path:
        final = config.output_dir / "final"
        if os.environ.get("RANK", "0") != "0":
            return final  # the system starts its own processes
        self.check(data, config)
        # (1) The config in the system's own words.
        words = {
            **config.model_dump(mode="json"),
            "data": [str(file.resolve()) for file in files_of(data)],
            "log": str(config.output_dir.resolve() / "log.jsonl"),
            "checkpoint": str(final.resolve()),
        }
        job = config.output_dir / "job.json"
        job.parent.mkdir(parents=True, exist_ok=True)
        job.write_text(json.dumps(words, indent=2), encoding="utf-8")
        # (2) How a job is started, and waited for.
        code = wait_for([*map(str, config.trainer_config["command"]), str(job)])
        if code:
            raise UserError(f"The command ended with {code}.", "See what it said.", exit_code=1)
        # (3) Where its checkpoint is, as a Hugging Face folder.
        return final


def wait_for(command: list[str]) -> int:
    """Run a command, and pass on the SIGTERM that ends this run, so that no job is left behind."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise UserError(f"Cannot run {command[0]}: {error}.", "Correct the command.") from None
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
