"""The configs hold only flags of OpenRLHF and our own keys; a typo is refused with the nearest."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from rl_rollouts.errors import UserError
from rl_rollouts.frameworks.openrlhf.settings import ALGORITHMS, read

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = ["openrlhf_config.yaml", "smoke_config.yaml"]
INSTALLED = importlib.util.find_spec("openrlhf") is not None


@pytest.mark.parametrize("name", CONFIGS)
def test_config_has_an_algorithm(name: str) -> None:
    config = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    assert config["algorithm"] in ALGORITHMS and config["output_dir"]


@pytest.mark.skipif(not INSTALLED, reason="OpenRLHF is not installed here")
@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_accepted(name: str) -> None:
    written = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    settings = read(PROJECT / name, PROJECT)
    assert settings.arguments.train.batch_size == written["train"]["batch_size"]
    assert settings.arguments.ds.zero_stage == written["ds"]["zero_stage"]


@pytest.mark.skipif(not INSTALLED, reason="OpenRLHF is not installed here")
def test_typo_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (PROJECT / "smoke_config.yaml").read_text("utf-8")
    config.write_text(text.replace("zero_stage:", "zero_stag:"), "utf-8")
    with pytest.raises(UserError, match=r"unknown key ds\.zero_stag; did you mean ds\.zero_stage"):
        read(config, PROJECT)
