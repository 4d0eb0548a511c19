"""The configs hold only keys that TRL knows, and a typo is refused with the nearest right key."""

from pathlib import Path

import pytest
import yaml

from rl_rollouts.errors import UserError
from trl_settings import algorithm_of, parse

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["trl_config.yaml", "smoke_config.yaml"])
def test_config_is_accepted(name: str) -> None:
    config = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    arguments = ["--config", str(PROJECT / name), "--use_cpu", "true"]
    run, training, model = parse(arguments)
    assert run.algorithm == config["algorithm"]
    assert training.learning_rate == config["learning_rate"]
    limit = "max_completion_length" if algorithm_of(run.algorithm).online else "max_length"
    assert getattr(training, limit) == config[limit]
    assert model.model_name_or_path == config["model_name_or_path"]


def test_typo_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (PROJECT / "smoke_config.yaml").read_text("utf-8")
    config.write_text(text.replace("learning_rate:", "learning_rat:"), "utf-8")
    with pytest.raises(UserError, match="learning_rate"):
        parse(["--config", str(config)])
