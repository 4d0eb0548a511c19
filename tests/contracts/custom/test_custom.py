"""The trainer's own settings: they are the committed schema, and accept what we render."""

from pathlib import Path

import pytest

from contracts.extraction import extract, text, written
from contracts.rendering import planned
from custom_settings import read_settings
from rl_rollouts.errors import UserError

VARIANTS = planned("custom")


def test_the_committed_schema_is_what_the_settings_say() -> None:
    assert text(extract("custom")) == written("custom").read_text("utf-8"), "run `make schemas`"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", ["custom_config.yaml", "smoke_config.yaml"])
def test_the_settings_accept_what_is_rendered(tmp_path: Path, variant: object, name: str) -> None:
    chosen = next(each for each in VARIANTS if each is variant)
    assert chosen.plan is not None
    config = tmp_path / name
    config.write_text(chosen.render(name), "utf-8")
    settings = read_settings(config, [])
    processes = 1 if name == "smoke_config.yaml" else chosen.plan.world_size
    assert settings.batch_problem(processes) is None


def test_a_changed_key_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "custom_config.yaml"
    changed = VARIANTS[0].config().replace("learning_rate:", "learning_rat:")
    config.write_text(changed, "utf-8")
    with pytest.raises(UserError, match="learning_rate"):
        read_settings(config, [])
