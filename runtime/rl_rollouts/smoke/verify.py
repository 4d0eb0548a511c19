"""Say whether a smoke run learned anything: its curve, its weights, and a model that loads.

    python -m rl_rollouts.smoke.verify --before smoke/model --after smoke/run/final \\
        --log smoke/run/log.jsonl
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..models.folders import is_reward_model, load_model, load_tokenizer
from ..report.log import read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", required=True, help="model before training")
    parser.add_argument("--after", required=True, help="model after training, or adapters of it")
    parser.add_argument("--log", type=Path, required=True, help="one JSON object a logged step")
    arguments = parser.parse_args()
    entries = read(arguments.log)
    # What an online algorithm optimises is the reward; its loss says nothing.
    key = "reward" if any("reward" in entry for entry in entries) else "loss"
    first, last = ends([entry[key] for entry in entries if key in entry])
    changed, total = changed_weights(arguments.before, arguments.after)
    print(f"{key} {first:.3f} -> {last:.3f}; {changed} of {total} weight tensors changed")
    if changed == 0 or not (last > first if key == "reward" else last < first):
        sys.exit("error: the run did not learn; see the log above")
    print(f"ok: {arguments.after} loads with transformers")


def ends(values: list[float]) -> tuple[float, float]:
    """Mean of the first and of the last fifth."""
    fifth = max(1, len(values) // 5)
    return sum(values[:fifth]) / fifth, sum(values[-fifth:]) / fifth


def changed_weights(before: str, after: str) -> tuple[int, int]:
    """How many tensors of the trained model differ, of how many that the old one had as well."""
    import torch

    load_tokenizer(after)
    trained = weights(after, reward=is_reward_model(after))
    old = {name: weight for name, weight in weights(before).items() if name in trained}
    return sum(not torch.equal(old[name], trained[name]) for name in old), len(old)


def weights(folder: str, *, reward: bool = False) -> dict[str, Any]:
    """All weights in float32; adapters are merged into the model that they belong to."""
    import torch

    model = load_model(folder, dtype=torch.float32, reward=reward)
    merge = getattr(model, "merge_and_unload", None)
    found: dict[str, Any] = (merge() if merge else model).state_dict()
    return found


if __name__ == "__main__":
    main()
