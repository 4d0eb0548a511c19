"""An adapter to a training system of your own: fill in what is marked (1) to (3).

As it stands it describes a job in JSON and runs a command with it, which has to wait for the end:

    trainer: my_trainer:MyTrainer
    trainer_config: {command: [our-trainer, run, --job]}
"""

import json
import os
import subprocess
from pathlib import Path

from custom_settings import Settings
from dataprep.errors import UserError
from dataprep.validate import check_rows


class MyTrainer:
    """See trainer_protocol.py."""

    def train(self, data: Path, config: Settings) -> Path:
        command = config.trainer_config.get("command")
        if not isinstance(command, list) or not command:
            raise UserError("trainer_config has no command.", "Add `command: [word, word]`.")
        check_rows(data)
        final = config.output_dir / "final"
        if os.environ.get("RANK", "0") != "0":
            return final  # the system starts its own processes
        job = config.output_dir / "job.json"
        job.parent.mkdir(parents=True, exist_ok=True)
        # (1) The config in the system's own words.
        words = {"data": str(data), "checkpoint": str(final), **config.model_dump(mode="json")}
        job.write_text(json.dumps(words, indent=2), encoding="utf-8")
        # (2) How a job is started, and waited for.
        try:
            code = subprocess.run([*map(str, command), str(job)]).returncode
        except OSError as error:
            raise UserError(f"Cannot run {command[0]}: {error}.", "Correct the command.") from None
        if code:
            raise UserError(f"{command[0]} ended with {code}.", "See what it said.", exit_code=1)
        # (3) Where its checkpoint is, as a Hugging Face folder.
        return final
