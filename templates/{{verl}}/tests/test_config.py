"""The configs hold only keys that verl knows, and a typo is refused with the nearest right key."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from prepare_for_verl import root_of
from rl_rollouts.errors import UserError
from verl_settings import read

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = ["verl_config.yaml", "smoke_config.yaml"]
INSTALLED = importlib.util.find_spec("verl") is not None


@pytest.mark.parametrize("name", CONFIGS)
def test_config_begins_with_a_tree_of_verl(name: str) -> None:
    config = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    assert root_of(config["defaults"]) in {"ppo_trainer", "sft_trainer_engine"}
    assert config["hydra"] == {"searchpath": ["pkg://verl.trainer.config"]}


@pytest.mark.skipif(not INSTALLED, reason="verl is not installed here")
@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_accepted(name: str, tmp_path: Path) -> None:
    written = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    settings = read(PROJECT / name, tmp_path / "training_data.jsonl")
    assert settings.config.trainer.n_gpus_per_node == written["trainer"]["n_gpus_per_node"]
    assert settings.config.data.train_batch_size == written["data"]["train_batch_size"]


@pytest.mark.skipif(not INSTALLED, reason="verl is not installed here")
def test_typo_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (PROJECT / "smoke_config.yaml").read_text("utf-8")
    config.write_text(text.replace("total_epochs:", "total_epoch:"), "utf-8")
    with pytest.raises(
        UserError, match=r"unknown key trainer\.total_epoch; did you mean trainer\.total_epochs"
    ):
        read(config, tmp_path / "training_data.jsonl")
