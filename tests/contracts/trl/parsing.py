"""TRL's own parser over a config, as on a machine that is not this one."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import TrainingArguments
from trl import TrlParser

from trl_settings import classes_of


def accepted(folder: Path, text: str, world: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What TRL's parser makes of a config where so many processes train.

    Raises:
        ValueError: when it does not accept the config.
    """
    config = folder / "config.yaml"
    config.write_text(text, "utf-8")
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda _: world))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    parser = TrlParser(classes_of(yaml.safe_load(text)["algorithm"]))
    return parser.parse_args_and_config(["--config", str(config), "--use_cpu", "True"])
