"""Say whether a smoke run learned anything: loss, weights, and a checkpoint that loads.

python tests/verify_smoke.py --before smoke/model --after smoke/run/final --log smoke/run/log.jsonl
"""

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, required=True, help="model before training")
    parser.add_argument("--after", type=Path, required=True, help="model after training")
    parser.add_argument("--log", type=Path, required=True, help="one JSON object a logged step")
    arguments = parser.parse_args()
    first, last = losses(arguments.log)
    changed, total = changed_weights(arguments.before, arguments.after)
    print(f"loss {first:.3f} -> {last:.3f}; {changed} of {total} weight tensors changed")
    if last >= first or changed == 0:
        sys.exit("error: the run did not learn; see the log above")
    print(f"ok: {arguments.after} loads with AutoModelForCausalLM and AutoTokenizer")


def losses(log: Path) -> tuple[float, float]:
    """Mean loss of the first and of the last fifth of the logged steps."""
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    values = [entry["loss"] for entry in entries if "loss" in entry]
    fifth = max(1, len(values) // 5)
    return sum(values[:fifth]) / fifth, sum(values[-fifth:]) / fifth


def changed_weights(before: Path, after: Path) -> tuple[int, int]:
    """How many tensors differ, of how many."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoTokenizer.from_pretrained(after)
    old = AutoModelForCausalLM.from_pretrained(before, dtype=torch.float32).state_dict()
    new = AutoModelForCausalLM.from_pretrained(after, dtype=torch.float32).state_dict()
    return sum(not torch.equal(old[name], new[name]) for name in old), len(old)


if __name__ == "__main__":
    main()
