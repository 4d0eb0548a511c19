"""Fine-tune a causal language model in plain PyTorch, on one process or, under torchrun, several.

python train_custom.py --data_path training_data.jsonl --config custom_config.yaml
torchrun --standalone --nproc_per_node 8 train_custom.py --data_path ... --config ...
"""

import argparse
import os
import time
from pathlib import Path

from custom_settings import read_settings
from rl_rollouts.errors import UserError, run
from rl_rollouts.trainers import check, load_trainer

FIRST = os.environ.get("RANK", "0") == "0"
"""Whether this is the process that speaks."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="rows to train on, JSONL")
    parser.add_argument("--config", type=Path, required=True, help="YAML, see custom_settings.py")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--check_only", action="store_true", help="check all, load no model")
    parser.add_argument("--vllm_server_url", help="of a server that generates for grpo")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of config")
    return parser.parse_args()


def train(arguments: argparse.Namespace) -> str:
    """Check all that can be checked without the model, then train; what came of it."""
    settings = read_settings(arguments.config, arguments.set)
    settings.resume |= arguments.resume
    settings.vllm_server_url = arguments.vllm_server_url or settings.vllm_server_url
    final = settings.output_dir / "final"
    if settings.resume and final.exists():
        return f"nothing to do: {final} is complete; to train further, move it away first"
    trainer = load_trainer(settings.trainer)
    if arguments.check_only:
        return check(trainer, arguments.data_path, settings)
    checkpoint = trainer.train(arguments.data_path, settings)
    if FIRST and not checkpoint.is_dir():
        raise UserError(f"{settings.trainer} left no {checkpoint}.", "Mend it.", exit_code=1)
    return f"model written to {checkpoint}"


def main() -> None:
    try:
        said = train(parse_arguments())
    except UserError:
        if not FIRST:
            time.sleep(5)  # torchrun ends this process when the first one has said the same
        raise
    if FIRST and said:
        print(said)


if __name__ == "__main__":
    run(main)
