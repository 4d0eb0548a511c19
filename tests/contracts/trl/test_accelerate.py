"""Accelerate reads the rendered launch file as it is meant, for every sharding and size."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from contracts.rendering import Variant, planned

FILE = "accelerate_config.yaml"
STAGES = {"zero2": 2, "zero3": 3}


def shapes() -> list[Variant]:
    """One variant of each launch file."""
    return list({each.render(FILE): each for each in planned("trl")}.values())


SHAPES = shapes()


@pytest.fixture(params=SHAPES, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.fixture
def file(variant: Variant, tmp_path: Path) -> Path:
    path = tmp_path / FILE
    path.write_text(variant.render(FILE), "utf-8")
    return path


LAUNCHER = ["-m", "accelerate.commands.launch", "--config_file", FILE]
LAUNCHERS = ("simple_launcher", "multi_gpu_launcher", "deepspeed_launcher")
Launch = Callable[[Variant, Path], argparse.Namespace]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """What Accelerate would start for the words of `launch/`, on the second machine of several."""
    started: list[argparse.Namespace] = []
    for name in LAUNCHERS:
        monkeypatch.setattr(launch, name, started.append)

    def call(variant: Variant, file: Path) -> argparse.Namespace:
        plan = variant.plan
        assert plan is not None
        # One process is started without it, and may be started with it.
        alone = (plan.sharding, plan.world_size, variant.spec.nodes) == ("ddp", 1, 1)
        assert plan.launcher == ([] if alone else LAUNCHER)
        words = [str(file) if word == FILE else word for word in LAUNCHER]
        if plan.training_nodes > 1:
            for name, value in {"rank": "1", "address": "10.0.0.1", "port": "29511"}.items():
                words += [plan.node_flags[name], value]
        words += ["train_trl.py", "--config", "trl_config.yaml"]
        launch.launch_command(launch.launch_command_parser().parse_args(words[2:]))
        return started.pop()

    return call


def test_the_shapes_are_all_there() -> None:
    found = {(each.spec.sharding, each.spec.nodes) for each in SHAPES}
    assert len(found) == len({sharding for sharding, _ in found}) * 2


def test_the_file_is_accepted(variant: Variant, file: Path) -> None:
    plan, config = variant.plan, load_config_from_file(str(file))
    assert plan is not None
    assert config.num_processes == plan.world_size
    assert config.num_machines == plan.training_nodes
    assert config.mixed_precision == "bf16"


def test_the_launcher_starts_what_was_planned(
    variant: Variant, file: Path, launched: Launch
) -> None:
    plan, arguments = variant.plan, launched(variant, file)
    assert plan is not None
    assert arguments.num_processes == plan.world_size
    assert arguments.num_machines == plan.training_nodes
    assert bool(arguments.use_fsdp) == (plan.sharding == "fsdp2")
    assert bool(arguments.use_deepspeed) == (plan.sharding in STAGES)
    assert bool(arguments.multi_gpu) == (plan.sharding == "ddp" and plan.world_size > 1)
    if plan.training_nodes > 1:
        assert arguments.main_process_ip == "10.0.0.1" and arguments.machine_rank == 1
    assert arguments.training_script_args == ["--config", "trl_config.yaml"]


def test_the_plugin_is_built_from_it(
    variant: Variant, file: Path, launched: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, arguments = variant.plan, launched(variant, file)
    assert plan is not None
    if plan.sharding == "ddp":
        assert prepare_multi_gpu_env(arguments)["ACCELERATE_MIXED_PRECISION"] == "bf16"
    elif plan.sharding == "fsdp2":
        plugin: Any = built(
            FullyShardedDataParallelPlugin, prepare_multi_gpu_env(arguments), monkeypatch
        )
        assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    else:
        command, environment = prepare_deepspeed_cmd_env(arguments)
        assert command is None, "every machine starts its own processes, without ssh"
        plugin = built(DeepSpeedPlugin, environment, monkeypatch)
        assert plugin.deepspeed_config["zero_optimization"]["stage"] == STAGES[plan.sharding]
        assert plugin.zero3_save_16bit_model == (plan.sharding == "zero3")


def built(plugin: type, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a started process makes of the variables that the launcher gives it."""
    for name, value in environment.items():
        if name.startswith(("ACCELERATE_", "FSDP_")):
            monkeypatch.setenv(name, value)
    return plugin()
