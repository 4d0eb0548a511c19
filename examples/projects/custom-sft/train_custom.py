"""Fine-tune a causal language model in plain PyTorch, on one process or, under torchrun, several.

python train_custom.py --data_path training_data.jsonl --config custom_config.yaml
torchrun --standalone --nproc_per_node 8 train_custom.py --data_path ... --config ...
"""

import argparse
import os
import sys
import time
from pathlib import Path

from custom_check import check, summary
from custom_settings import UserError, read_settings


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="rows to train on, JSONL")
    parser.add_argument("--config", type=Path, required=True, help="YAML, see custom_settings.py")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--check_only", action="store_true", help="check all, load no model")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key"
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked without the model, then train."""
    speak = os.environ.get("RANK", "0") == "0"
    settings = read_settings(args.config, args.set)
    final = settings.output_dir / "final"
    if args.resume and final.exists():
        if speak:
            print(f"nothing to do: {final} is complete; to train further, move it away first")
        return
    tokenizer, data = check(settings, args.data_path, args.resume)
    if speak:
        print(summary(settings, data, tokenizer), flush=True)
    if not args.check_only:
        from custom_loop import train  # torch takes seconds to import

        train(settings, data, tokenizer, args.resume)


def main() -> int:
    args = parse_arguments()
    try:
        run(args)
    except UserError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            # The first process has most likely found the same; torchrun ends this one then.
            time.sleep(5)
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
