"""Train with TRL's SFTTrainer on rows in the order in which they stand, and note each step's end.

python trl_once.py MODEL ROWS STEPS BATCH TIMES
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def main() -> None:
    model, rows, steps, batch, times = sys.argv[1:]
    torch.set_num_threads(1)
    read = [json.loads(line) for line in Path(rows).read_text("utf-8").splitlines()]
    data = Dataset.from_list([{key: row[key] for key in ("prompt", "completion")} for row in read])
    config = SFTConfig(
        output_dir=str(Path(times).with_suffix(".run")),
        use_cpu=True,
        bf16=False,
        max_steps=int(steps),
        per_device_train_batch_size=int(batch),
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
        activation_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        max_length=None,
    )
    clock = Clock()
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, callbacks=[clock])
    trainer.train()
    Path(times).write_text(json.dumps(clock.ends), "utf-8")


if __name__ == "__main__":
    main()
