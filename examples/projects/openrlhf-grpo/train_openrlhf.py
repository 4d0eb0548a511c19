"""Train with OpenRLHF.

    python train_openrlhf.py --data_path training_data.jsonl --config openrlhf_config.yaml

Every key of the config is one of OpenRLHF's own flags, or one of the few at its beginning. Each can
also be given here, as `adam.lr=1e-5`, which wins. The command that this becomes is printed, can be
pasted, and is run: torchrun for sft, dpo and rm, and Ray for the rest.

    --check_only     let OpenRLHF's parser judge the config, tokenise the data, and stop
    --resume         go on after the newest checkpoint
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from openrlhf_checks import check_data, check_machines, load_tokenizer
from openrlhf_data import stage
from openrlhf_learned import Taken
from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError, run
from rl_rollouts.frameworks.openrlhf.outputs import check_output, save_final, write_log
from rl_rollouts.frameworks.openrlhf.rules import check_config
from rl_rollouts.frameworks.openrlhf.settings import Settings, command_of, flags_of, read, shown

PROJECT = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="prepared rows")
    parser.add_argument("--config", type=Path, default=Path("openrlhf_config.yaml"))
    parser.add_argument("--check_only", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--node_rank", type=int, default=0, help="of this machine")
    parser.add_argument("--main_address", default="127.0.0.1", help="of the first one")
    parser.add_argument("--main_port", type=int, default=29500)
    parser.add_argument("overrides", nargs="*", help="adam.lr=1e-5, and so on")
    given = parser.parse_intermixed_args()
    if wrong := [each for each in given.overrides if "=" not in each]:
        raise UserError(f"{wrong[0]} is no key=value.", "Write adam.lr=1e-5, say.")
    if not files_of(given.data_path):
        raise UserError(f"There is no {given.data_path}.", "Run `make prepare`.")
    settings = read(given.config, PROJECT, given.overrides)
    check_config(settings)
    tokenizer = load_tokenizer(settings)
    template = tokenizer.chat_template
    check_data(settings, given.data_path, tokenizer, every=given.check_only)
    if given.check_only:
        print("The config and the data are accepted.")
        return
    check_output(settings, given.resume)
    check_machines(settings)
    tokenizer.chat_template = template
    rank, address = given.node_rank, f"{given.main_address}:{given.main_port}"
    takes = Taken(settings, tokenizer).takes if settings.online else None
    data = stage(settings, given.data_path, tokenizer, rank, takes)
    flags = flags_of(settings, data, resume=given.resume)
    train(settings, command_of(settings, flags, rank, address), template, rank)


def train(settings: Settings, command: list[str], template: str, rank: int) -> None:
    """Run OpenRLHF, and give what it wrote its name.

    Args:
        template: the chat template of the model.
        rank: of this machine; the first one writes.
    """
    print(shown(command), flush=True)
    code = passed_on(command)
    if rank == 0:
        write_log(settings.output)
    if code:
        # OpenRLHF said why; a signal that ended it counts as shells count it.
        sys.exit(code if code > 0 else 128 - code)
    if rank == 0:
        print(f"wrote {save_final(settings, template)}")


def passed_on(command: list[str]) -> int:
    """The exit code of a command, which gets the signals that this process gets."""
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    # In a session of its own, so that Ctrl-C reaches it once, from here.
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:

        def forward(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, forward)
        return process.wait()


if __name__ == "__main__":
    run(main)
