"""OpenRLHF's own parsers take what we render, with abbreviations off, and their assertions hold."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from contracts.rendering import Variant, planned, variant
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks.openrlhf.rules import asked, check_config
from rl_rollouts.frameworks.openrlhf.settings import Settings, command_of, flags_of, read, shown
from scaffolder.frameworks import discover
from scaffolder.vocabulary import OFFLINE

VARIANTS = planned("openrlhf")
MACHINES = ((1, 1), (1, 8), (2, 8), (16, 8))
MODELS = ("org/m-0.5b", "org/m-7b", "org/m-70b")
PLACEMENTS = discover()["openrlhf"].generations


def accepted(made: Variant, folder: Path, name: str = "openrlhf_config.yaml") -> Settings:
    path = folder / name
    path.write_text(made.render(name), "utf-8")
    settings = read(path, folder)
    check_config(settings)
    return settings


@pytest.mark.parametrize("name", ["openrlhf_config.yaml", "smoke_config.yaml"])
def test_the_parsers_accept_what_is_rendered(name: str, tmp_path: Path) -> None:
    assert len(VARIANTS) > 100
    for made in VARIANTS:
        settings = accepted(made, tmp_path, name)
        data = {"data.prompt_dataset" if settings.online else "data.dataset": "rows.parquet"}
        command = command_of(settings, flags_of(settings, data, resume=True), 0, "host:1")
        assert "--ckpt.load_enable" in command and "rows.parquet" in shown(command)


@pytest.mark.parametrize(
    "algorithm", [each for each in discover()["openrlhf"].algorithms if each not in OFFLINE]
)
def test_the_gpus_that_ray_is_asked_for_are_those_there_are(algorithm: str, tmp_path: Path) -> None:
    """With one too many it waits for ever."""
    count = 0
    for placement, (nodes, gpus), model in itertools.product(PLACEMENTS, MACHINES, MODELS):
        sizes: dict[str, Any] = {"nodes": nodes, "gpus_per_node": gpus, "model": model}
        made = variant("openrlhf", algorithm, generation=placement, **sizes)
        if made.plan is None:
            small = nodes * gpus == 1 or (gpus, model) == (8, MODELS[-1])
            assert small, made.reasons
            continue
        assert asked(accepted(made, tmp_path)) == nodes * gpus, f"{made}"
        count += 1
    assert count > 15


def test_offline_commands_start_a_process_a_gpu(tmp_path: Path) -> None:
    made = variant("openrlhf", "dpo", nodes=2, gpus_per_node=8, model="org/m-7b")
    settings = accepted(made, tmp_path)
    words = command_of(settings, {}, 1, "first:29501")
    expected = ["--nnodes=2", "--node_rank=1", "--master_addr=first", "--master_port=29501"]
    assert words[3:8] == [*expected, "--nproc_per_node=8"]
    assert words[8:] == ["-m", "openrlhf.cli.train_dpo"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  zero_stage:", "  zero_stag:", "did you mean ds.zero_stage"),
        ("batch_size:", "batch:", "unknown key train.batch"),
        ("estimator: group_norm", "estimator: grpo", "invalid choice"),
        ("num_engines: 8", "num_engines: many", "invalid int value"),
        ("n_samples_per_prompt: 8", "n_samples_per_prompt: 1", "requires n_samples_per_prompt > 1"),
        ("enable_sleep: true\ntrain:", "enable_sleep: true\ntrain:\n  async_enable: true", "Async"),
        ("\nds:", "\nis_correction_enable: true\nds:", "unknown key is_correction_enable"),
        ("\nckpt:", "\nckpt:\n  path: elsewhere", "is set by train_openrlhf.py"),
    ],
)
def test_what_is_wrong_or_of_another_version_is_refused(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = variant("openrlhf", "grpo", gpus_per_node=8, model="org/m-7b").config()
    assert old in text
    (tmp_path / "c.yaml").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(UserError, match=said):
        check_config(read(tmp_path / "c.yaml", tmp_path))


def test_what_the_command_line_says_wins(tmp_path: Path) -> None:
    made = variant("openrlhf", "sft")
    path = tmp_path / "c.yaml"
    path.write_text(made.config(), "utf-8")
    settings = read(path, tmp_path, ["adam.lr=0.5", "model.gradient_checkpointing_enable=false"])
    assert settings.arguments.adam.lr == 0.5
    assert settings.arguments.model.gradient_checkpointing_enable is False
