"""The configs hold only keys that the trainer knows, and a typo is refused with the right key."""

from pathlib import Path

import pytest
import yaml

from custom_settings import read_settings
from rl_rollouts.errors import UserError

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["custom_config.yaml", "smoke_config.yaml"])
def test_config_is_accepted(name: str) -> None:
    config = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    settings = read_settings(PROJECT / name, [])
    assert settings.learning_rate == config["learning_rate"]
    assert settings.max_length == config["max_length"]
    assert settings.model_name_or_path == config["model_name_or_path"]


def test_typo_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (PROJECT / "smoke_config.yaml").read_text("utf-8")
    config.write_text(text.replace("learning_rate:", "learning_rat:"), "utf-8")
    with pytest.raises(UserError, match="learning_rate"):
        read_settings(config, [])
