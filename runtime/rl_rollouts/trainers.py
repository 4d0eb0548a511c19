"""What a trainer is, to a script that takes any: one of your own, or of a system that is not open.

    # in the config
    trainer: my_trainer:MyTrainer
    trainer_config: {queue: large}      # whatever it wants beside the other keys

A project's my_trainer.py is one to fill in. `make smoke`, `make check`, `make train`,
`make evaluate` and `make export` then work with it as with the project's own.
"""

import importlib
from pathlib import Path
from typing import Any, Protocol

from .errors import UserError
from .validate import check_rows
from .values import KINDS


class Trainer(Protocol):
    """Anything with this method.

    A method `check` with the same arguments is called for --check_only, where there is one; without
    it, rows are checked against the JSON Schema of their kind. Under torchrun every process has a
    trainer: the first one, with RANK 0, writes.
    """

    def train(self, data: Path, config: Any) -> Path:
        """Train, and return the folder of the trained model.

        Args:
            data: file of rows, JSONL. Where the rows are in shards no file has this name:
                `rl_rollouts.engine.write.files_of` lists the files.
            config: the keys of the config, the project's `Settings`. The run writes
                into `config.output_dir`: `log.jsonl`, an object with `step` and `loss` a line, for
                `make curve`, and the model in `final`. With `config.resume` it goes on from its
                newest checkpoint there, if any.

        Returns:
            The checkpoint: a Hugging Face folder, so that evaluate.py and export.py can load it.

        Raises:
            UserError: for what the user can mend.
        """
        ...


def check(trainer: Trainer, data: Path, config: Any) -> str:
    """Let a trainer check what it was given, or check the rows; what is left to be said."""
    if hasattr(trainer, "check"):
        trainer.check(data, config)
        return ""
    return f"{check_rows(data, KINDS[config.algorithm]):,} rows are as they should be."


def load_trainer(name: str) -> Trainer:
    """The trainer `module:Class` names.

    Raises:
        UserError: when there is none. What its own `__init__` raises is left as it is.
    """
    module, _, attribute = name.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"There is no trainer {name!r}: {error}.", "Give `module:Class`, see my_trainer.py."
        ) from None
    if not callable(getattr(made, "train", None)):
        raise UserError(f"{name} has no method `train`.", "Write one, see rl_rollouts.trainers.")
    return made() if isinstance(made, type) else made  # type: ignore[no-any-return]
