"""Fine-tune a causal language model in plain PyTorch, on one process or, under torchrun, several.

python train_custom.py --data_path training_data.jsonl --config custom_config.yaml
torchrun --standalone --nproc_per_node 8 train_custom.py --data_path ... --config ...
"""

import argparse
import os
import sys
import time
from pathlib import Path

from custom_settings import Settings, read_settings
from dataprep.errors import UserError


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="rows to train on, JSONL")
    parser.add_argument("--config", type=Path, required=True, help="YAML, see custom_settings.py")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--check_only", action="store_true", help="check all, load no model")
    parser.add_argument("--vllm_server_url", help="of a server that generates for grpo")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key"
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked without the model, then train."""
    given = {"resume": args.resume or None, "vllm_server_url": args.vllm_server_url}
    settings = read_settings(args.config, args.set)
    settings = settings.model_copy(update={k: v for k, v in given.items() if v is not None})
    final = settings.output_dir / "final"
    if settings.resume and final.exists():
        if is_first():
            print(f"nothing to do: {final} is complete; to train further, move it away first")
        return
    from trainer_protocol import load_trainer  # whose torch takes seconds to import

    trainer = load_trainer(settings.trainer)
    if args.check_only:
        check = getattr(trainer, "check", check_kind)
        check(args.data_path, settings)
        return
    checkpoint = trainer.train(args.data_path, settings)
    if is_first() and not checkpoint.is_dir():
        raise UserError(f"{settings.trainer} left no {checkpoint}.", "Mend it.", exit_code=1)
    if is_first():
        print(f"model written to {checkpoint}")


def check_kind(data: Path, settings: Settings) -> None:
    """For a trainer that checks nothing itself."""
    from dataprep.validate import check_rows
    from prepare_for_custom import KINDS

    print(f"{check_rows(data, KINDS[settings.algorithm]):,} rows are as they should be.")


def is_first() -> bool:
    """Whether this is the process that speaks."""
    return os.environ.get("RANK", "0") == "0"


def main() -> int:
    try:
        run(parse_arguments())
    except UserError as error:
        if not is_first():
            # The first process has most likely found the same; torchrun ends this one then.
            time.sleep(5)
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
