"""Another framework takes over what an owner had changed in a config, by what it means."""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from checked import change, put
from contracts.rendering import Variant, variant, write
from scaffolder import carrying, frameworks, saved
from scaffolder.errors import NotCommitted
from scaffolder.project import read_config
from scaffolder.yaml_lines import write as write_value

EDITS: dict[str, dict[str, Any]] = {
    "sft": {"learning_rate": 3e-5, "sequence_length": 2048, "weight_decay": 0.05, "warmup": 0.1},
    "grpo": {
        "learning_rate": 3e-6,
        "num_generations": 16,
        "kl_coefficient": 0.04,
        "completion_length": 512,
        "temperature": 0.7,
        "save_steps": 50,
        "epochs": 2,
    },
}
"""By algorithm what an owner writes, in the words of `scaffolder/meaning.py`."""


@dataclass
class Switch:
    """A project of one framework, edited, and one of another with what was taken over."""

    folder: Path
    algorithm: str
    one: str
    other: str

    def variant(self, framework: str) -> Variant:
        return variant(framework, self.algorithm, gpus_per_node=8, model="org/m-1.7b")

    def render(self) -> Path:
        """The owner's project, which is not changed yet."""
        for name in ("base", "owned"):
            (self.folder / name).mkdir()
            write(self.variant(self.one), self.folder / name)
        return self.folder / "owned"

    def edit(self, edits: dict[str, Any]) -> None:
        file = f"{self.one}_config.yaml"
        variant_ = self.variant(self.one)
        assert variant_.plan
        meanings = frameworks.get(self.one).meanings(variant_.spec, variant_.plan)
        for meaning, value in edits.items():
            config = read_config(self.folder / "owned", file)
            key = meanings[meaning].keys[0]
            write_value(self.folder / "owned" / file, config.entries, key, value)

    def carry(self, *given: str) -> tuple[carrying.Carried, ...]:
        target = self.variant(self.other)
        assert target.plan
        before = saved.read(self.folder / "owned")
        self.found = carrying.find(before, self.folder / "base", target.spec, target.plan, given)
        (self.folder / "new").mkdir()
        write(Variant(self.found.spec, self.found.plan, ()), self.folder / "new")
        return self.found.write(self.folder / "new")

    def now(self, meaning: str) -> Any:
        meanings = frameworks.get(self.other).meanings(self.found.spec, self.found.plan)
        return meanings[meaning].read(read_config(self.folder / "new", f"{self.other}_config.yaml"))


@pytest.mark.parametrize("algorithm", EDITS)
@pytest.mark.parametrize(("one", "other"), permutations(frameworks.names(), 2))
def test_what_both_have_is_carried_over(
    tmp_path: Path, algorithm: str, one: str, other: str
) -> None:
    switch = Switch(tmp_path, algorithm, one, other)
    switch.render()
    switch.edit(EDITS[algorithm])
    carried = switch.carry()
    assert {name: switch.now(name) for name in EDITS[algorithm]} == EDITS[algorithm]
    assert all(each.to for each in carried), carried
    text = (tmp_path / "new" / f"{other}_config.yaml").read_text("utf-8")
    fresh = Variant(switch.found.spec, switch.found.plan, ()).config()
    assert text.count("#") == fresh.count("#"), "comments stay where they are"


def test_lengths_and_batches_are_planned_with_it(tmp_path: Path) -> None:
    """16 responses to a prompt are 16 prompts an update, where 8 were 32."""
    switch = Switch(tmp_path, "grpo", "trl", "verl")
    owned = switch.render()
    put(owned / "trl_config.yaml", "num_generations", "16")
    put(owned / "trl_config.yaml", "max_completion_length", "2048")
    switch.carry()
    assert switch.found.plan.settings["prompts_per_update"] == 16
    assert switch.found.spec.sequence_length == 3072 + 2048
    assert switch.now("completion_length") == 2048 and switch.now("sequence_length") == 5120


def test_what_has_no_counterpart_is_listed(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "grpo", "trl", "custom")
    owned = switch.render()
    put(owned / "trl_config.yaml", "loss_type", "dr_grpo")
    put(owned / "trl_config.yaml", "lr_scheduler_type", "polynomial")
    put(owned / "trl_config.yaml", "warmup_steps", "20")
    change(owned / "trl_config.yaml", "save_total_limit: 2\n", "")
    carried = {each.key: each for each in switch.carry()}
    assert {key for key, each in carried.items() if each.to is None} == {
        "loss_type",
        "lr_scheduler_type",
        "warmup_steps",
        "save_total_limit",
    }
    assert carried["save_total_limit"].value == "(removed)"


def test_a_value_that_the_other_cannot_have_is_listed_with_the_reason(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "sft", "trl", "verl")
    owned = switch.render()
    put(owned / "trl_config.yaml", "num_train_epochs", "1.5")
    put(owned / "trl_config.yaml", "learning_rate", "3e-5")
    carried = {each.key: each for each in switch.carry()}
    assert carried["learning_rate"].to == "optim.lr" and switch.now("learning_rate") == 3e-5
    epochs = carried["num_train_epochs"]
    assert epochs.to is None and "whole epochs" in epochs.why


def test_what_was_said_on_the_command_line_wins(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "grpo", "trl", "verl")
    owned = switch.render()
    put(owned / "trl_config.yaml", "num_generations", "16")
    assert switch.carry("num_generations") == ()
    assert switch.now("num_generations") == 8


def test_an_untouched_config_carries_nothing(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "grpo", "verl", "trl")
    switch.render()
    assert switch.carry() == ()
    new = (tmp_path / "new" / "trl_config.yaml").read_text("utf-8")
    assert new == switch.variant("trl").config()


def test_a_config_that_cannot_be_read_stops_it(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "sft", "trl", "custom")
    owned = switch.render()
    change(owned / "trl_config.yaml", "max_length:", "max_length")
    with pytest.raises(NotCommitted, match="could not be taken over"):
        switch.carry()
