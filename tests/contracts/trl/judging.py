"""What TRL, transformers and Accelerate say of a project's files, by trying them on a CPU."""

import contextlib
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate.commands import launch
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from transformers import TrainerCallback, TrainingArguments

import train_trl
from contracts.mutations import is_id
from contracts.rendering import Variant
from contracts.scripts import Launches
from trl_checks import load_tokenizer
from trl_settings import algorithm_of, parse

STEPS = 2
QUICK = {
    "max_completion_length": "4",
    "bf16": "False",
    "activation_checkpointing": "False",
    "use_vllm": "False",
    "load_in_4bit": "False",
    "num_train_epochs": "1",
    "dataloader_pin_memory": "False",
}
"""What a machine without GPUs changes, where the mutation is not about it."""


class Stop(TrainerCallback):  # type: ignore[misc]
    """Trains a little, and writes a checkpoint."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save = control.should_log = True
        control.should_training_stop = state.global_step >= self.steps


class Judge:
    """The framework over the files of one project."""

    def __init__(self, model: Path, data: Path, folder: Path) -> None:
        self.model, self.data, self.folder = model, data, folder
        self.launches: Launches | None = None

    def __call__(self, variant: Variant, project: Path, name: str) -> str | None:
        assert variant.plan is not None
        if name.endswith(".sh"):
            self.launches = self.launches or Launches(self.folder, variant.spec.gpus_per_node)
            alone = variant.plan.server is None and variant.spec.nodes == 1
            return self.launches.judge(project / name, alone)
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                if name == "accelerate_config.yaml":
                    self.launched(variant, project / name)
                else:
                    self.trained(variant, project, name)
        except (Exception, SystemExit) as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        return None

    def launched(self, variant: Variant, file: Path) -> None:
        """The launcher, up to where it starts processes, and what these make of its variables."""
        started: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            for each in ("simple_launcher", "multi_gpu_launcher", "deepspeed_launcher"):
                patch.setattr(launch, each, started.append)
            assert variant.plan is not None
            words = ["--config_file", str(file)]
            if variant.plan.training_nodes > 1:
                for flag, value in {"rank": "1", "address": "10.0.0.1", "port": "29511"}.items():
                    words += [variant.plan.node_flags[flag], value]
            parser = launch.launch_command_parser()
            launch.launch_command(parser.parse_args([*words, "train_trl.py"]))
            arguments = started.pop()
            if arguments.use_deepspeed:
                _, environment = prepare_deepspeed_cmd_env(arguments)
                plugin: Any = DeepSpeedPlugin
            else:
                environment = prepare_multi_gpu_env(arguments)
                plugin = FullyShardedDataParallelPlugin if arguments.use_fsdp else None
            assert int(arguments.nproc_per_node) > 0
            if plugin:
                for key, value in environment.items():
                    if key.startswith(("ACCELERATE_", "FSDP_")):
                        patch.setenv(key, value)
                plugin()

    @contextlib.contextmanager
    def machines(self, world: int) -> Iterator[None]:
        """As many processes as were planned, for the arithmetic of TRL's configs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingArguments, "world_size", property(lambda _: world))
            patch.setenv("ACCELERATE_USE_CPU", "1")
            yield

    def trained(self, variant: Variant, project: Path, name: str) -> None:
        """A few steps on a CPU, with a tiny model, as `train_trl.py` makes them."""
        smoke = name == "smoke_config.yaml"
        assert variant.plan is not None
        world = 1 if smoke else variant.plan.world_size
        config = project / name
        text = config.read_text("utf-8")
        written = yaml.safe_load(text)
        original = yaml.safe_load(variant.render(name))
        written = written if isinstance(written, dict) else {}

        def free(key: str) -> bool:
            return key not in written or written[key] == original.get(key, object())

        words = ["--config", str(config)]
        with self.machines(world):
            _, training, _ = parse([*words, "--use_cpu", "True"])
        # The same rows a step on one process.
        steps = training.gradient_accumulation_steps * world
        if "steps_per_generation" not in written and world > 1:
            words += ["--gradient_accumulation_steps", str(steps)]
        words += [] if "use_cpu" in written else ["--use_cpu", "True"]
        for key, value in QUICK.items():
            if key in original and written.get(key) == original[key]:
                words += [f"--{key}", value]
        if "bf16" not in written:
            words += ["--bf16", "False"]
        if is_id(written.get("model_name_or_path")):
            words += ["--model_name_or_path", str(self.model)]
        if written.get("output_dir"):
            words += ["--output_dir", str(self.folder / "run")]
        if free("data_path"):
            words += ["--data_path", str(self.data)]
        if "eval_data_path" in original and free("eval_data_path"):
            words += ["--eval_data_path", str(self.data)]
        with contextlib.chdir(project):
            sys.path.insert(0, str(project))
            try:
                run, training, model = parse(words)
                if training.eval_strategy != "no" and run.eval_data_path is None:
                    raise ValueError("eval_strategy is set, and eval_data_path is not")
                named = algorithm_of(run.algorithm)
                tokenizer = load_tokenizer(run, training, model, named)
                trainer = train_trl.build(run, training, model, named, tokenizer)
                trainer.add_callback(Stop(1 if named.online else STEPS))
                trainer.train()
                assert torch.isfinite(next(trainer.model.parameters())).all(), "weights are NaN"
                for entry in trainer.state.log_history:
                    assert not math.isnan(entry.get("loss", 0.0)), "the loss is NaN"
            finally:
                sys.path.remove(str(project))
