"""Fine-tune a causal language model with Acme.

python train_acme.py --data_path training_data.jsonl --config acme_config.yaml

Acme is made up: its loop is plain PyTorch. Yours would be called in `train`.
"""

import argparse
import difflib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any, Literal, get_type_hints

import yaml

from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError, run


@dataclass(frozen=True)
class Settings:
    """What the config may say."""

    model_name_or_path: str
    """Folder of a Hugging Face model, or its id on the Hub."""
    output_dir: str
    """Folder for log.jsonl and the model in final/."""
    algorithm: Literal["sft"] = "sft"
    max_length: int = 2048
    """Longest row, tokens; longer ones are dropped and counted."""
    global_batch_size: int = 32
    """Rows per optimizer step."""
    learning_rate: float = 1e-5
    """Of AdamW, constant."""
    epochs: float = 1.0
    """Passes over the rows."""
    max_steps: int | None = None
    """Optimizer steps, instead of epochs."""
    tracker: Literal["tensorboard", "none"] = "none"
    """Where the log goes too."""
    seed: int = 0
    """Of the order of the rows."""

    @property
    def final(self) -> Path:
        return Path(self.output_dir) / "final"


Row = tuple[list[int], int]
"""Token ids of a prompt and its answer, and how many of them are the prompt."""


def read_settings(path: Path) -> Settings:
    """The config, with all that is wrong in one error."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Give the config with --config.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no keys.", "Write `key: value` lines.")
    known = [field.name for field in fields(Settings)]
    problems = []
    for key in values.keys() - set(known):
        near = difflib.get_close_matches(str(key), known, 1)
        problems.append(f"unknown key {key}; {f'did you mean {near[0]}?' if near else 'remove it'}")
    hints = get_type_hints(Settings)
    for key in known:
        numeric = hints[key] in {int, float}
        if numeric and key in values and not isinstance(values[key], int | float):
            problems.append(f"{key} is {values[key]!r}, not a number")
    problems += [f"{key} is missing" for key in known[:2] if key not in values]
    if problems:
        raise UserError("\n  ".join([f"{path}:", *sorted(problems)]), "Nothing was trained.")
    return Settings(**values)


def read_rows(path: Path, tokenizer: Any, settings: Settings) -> list[Row]:
    """The rows of a file, or of its shards, that are not too long."""
    files = files_of(path)
    if not files:
        raise UserError(f"There is no data file {path}.", "Run `make prepare`.")
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    rows = [tokenised(json.loads(line), tokenizer) for line in lines]
    kept = [row for row in rows if len(row[0]) <= settings.max_length]
    print(f"{len(rows)} rows, {len(rows) - len(kept)} of them longer than {settings.max_length}")
    if not kept:
        raise UserError(f"{path} has no row to train on.", "Raise max_length.")
    return kept


def tokenised(row: dict[str, Any], tokenizer: Any) -> Row:
    options = {"tools": row["tools"], "tokenize": True, "return_dict": False}
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, **options)
    whole = tokenizer.apply_chat_template([*row["prompt"], row["answer"]], **options)
    if whole[: len(prompt)] != prompt:
        raise UserError("The chat template changes the prompt.", "Take another model.")
    return whole, len(prompt)


def batches(rows: list[Row], settings: Settings) -> Iterator[list[Row]]:
    """The rows of each optimizer step; epochs follow end to end."""
    steps = settings.max_steps or math.ceil(
        settings.epochs * len(rows) / settings.global_batch_size
    )
    shuffle, queue = Random(settings.seed), list[Row]()
    for _ in range(steps):
        while len(queue) < settings.global_batch_size:
            queue += shuffle.sample(rows, len(rows))
        yield queue[: settings.global_batch_size]
        del queue[: settings.global_batch_size]


def train(rows: list[Row], tokenizer: Any, settings: Settings) -> None:
    """Train, log every step, and write the model to `final`."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(settings.model_name_or_path, dtype=torch.float32)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    with ExitStack() as at_the_end:
        log = at_the_end.enter_context((settings.final.parent / "log.jsonl").open("w"))
        board = None
        if settings.tracker == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            board = at_the_end.enter_context(SummaryWriter(settings.output_dir))
        for step, batch in enumerate(batches(rows, settings), 1):
            total = 0.0
            for ids, prompt in batch:
                tokens = torch.tensor([ids], device=device)
                labels = tokens.clone()
                labels[:, :prompt] = -100  # only the answer is learned
                loss = model(tokens, labels=labels).loss / len(batch)
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            log.write(json.dumps({"step": step, "loss": total}) + "\n")
            log.flush()
            print(f"step {step}  loss {total:.4f}", flush=True)
            if board:
                board.add_scalar("loss", total, step)
    model.save_pretrained(settings.final)
    tokenizer.save_pretrained(settings.final)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", type=Path, required=True, help="rows to train on, JSONL")
    parser.add_argument("--config", type=Path, required=True, help="YAML")
    parser.add_argument("--check_only", action="store_true", help="check all, load no model")
    parser.add_argument("--resume", action="store_true", help="do nothing if the run is complete")
    arguments = parser.parse_args()
    settings = read_settings(arguments.config)
    if settings.final.exists():
        if arguments.resume:
            print(f"nothing to do: {settings.final} is complete")
            return
        raise UserError(f"{settings.final} is there already.", "Choose another output_dir.")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(settings.model_name_or_path)
    rows = read_rows(arguments.data_path, tokenizer, settings)
    if arguments.check_only:
        return
    settings.final.parent.mkdir(parents=True, exist_ok=True)
    train(rows, tokenizer, settings)
    print(f"model written to {settings.final}")


if __name__ == "__main__":
    run(main)
