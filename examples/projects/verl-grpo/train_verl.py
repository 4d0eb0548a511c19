"""Train with verl.

    python train_verl.py --data_path training_data.jsonl --config verl_config.yaml

Every key of the config is one of verl's own Hydra tree, or `data.rows_with_tools`. Each can also be
given here, as `trainer.total_epochs=2`, which wins. The script in `launch/` starts it on all GPUs.

    --check_only     compose and validate the config, read the data, and stop
    --resume         go on after the newest whole checkpoint
"""

import argparse
import os
from pathlib import Path

from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError, run
from verl_checkpoints import check_output, log_file, save_final
from verl_checks import check_config, check_data, cpus_of, wait_for_machines
from verl_settings import Settings, read

ALONE = {
    "RANK": "0",
    "WORLD_SIZE": "1",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",
}
"""What torchrun tells each of its processes, for one that was started without it; a port that is
free, since other runs may be on the same machine."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="prepared rows")
    parser.add_argument("--config", type=Path, default=Path("verl_config.yaml"))
    parser.add_argument("--check_only", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("overrides", nargs="*", help="trainer.total_epochs=2, and so on")
    arguments = parser.parse_intermixed_args()
    if wrong := [each for each in arguments.overrides if "=" not in each]:
        raise UserError(f"{wrong[0]} is no key=value.", "Write trainer.total_epochs=2, say.")
    if not files_of(arguments.data_path):
        raise UserError(f"There is no {arguments.data_path}.", "Run `make prepare`.")
    settings = read(arguments.config, arguments.data_path, arguments.overrides)
    first = os.environ.get("RANK", "0") == "0"
    check_config(settings)
    if first:
        check_data(settings, every=arguments.check_only)
    if arguments.check_only:
        print("The config and the data are accepted.")
        return
    check_output(settings, arguments.resume)
    train(settings, first)


def train(settings: Settings, first: bool) -> None:
    """Run verl's own trainer, and write the final model.

    Args:
        first: whether this is the only process, or the first of several.
    """
    from verl.utils.device import auto_set_device

    output = settings.output
    if first:
        # Their places are read when verl opens them.
        os.environ["VERL_FILE_LOGGER_PATH"] = str(log_file(output))
        os.environ["TENSORBOARD_DIR"] = str(output)
    auto_set_device(settings.config)
    if settings.online:
        _online(settings)
    else:
        from verl.trainer.sft_trainer import run_sft

        for name, value in ALONE.items():
            os.environ.setdefault(name, value)
        run_sft(settings.config)
    if first:
        print(f"wrote {save_final(settings)}")


def _online(settings: Settings) -> None:
    """One process drives all GPUs through Ray: of this machine, or of a cluster (RAY_ADDRESS)."""
    from omegaconf import OmegaConf, open_dict
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo

    start = settings.config.ray_kwargs.ray_init
    with open_dict(start):
        names = ("VERL_FILE_LOGGER_PATH", "TENSORBOARD_DIR")
        start.runtime_env.env_vars = {name: os.environ[name] for name in names}
        if os.environ.get("RAY_ADDRESS"):
            wait_for_machines(settings)
        elif start.num_cpus is None:
            # Ray only counts them. With fewer than verl reserves it would wait without end.
            start.num_cpus = max(os.cpu_count() or 1, cpus_of(settings))
    OmegaConf.resolve(settings.config)
    run_ppo(settings.config, task_runner_class=TaskRunnerV1)


if __name__ == "__main__":
    run(main)
