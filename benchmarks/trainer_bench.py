"""Measure the custom trainer: its speed against TRL's, and what its savings of memory save.

    python benchmarks/trainer_bench.py

One thread for each. Of a run the first two steps are left out, and the time of the others counts,
on the same rows in the same order. Exit code 1: a target is missed.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from measure import Failed, Job, Ratios, Scratch
from table import Figure, at_least, machine, megabytes, table, today, write

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "examples" / "projects" / "custom-sft"
SAMPLE = ROOT / "templates" / "{{base}}" / "tests" / "sample_rollouts.jsonl"
TRL_ONCE = Path(__file__).with_name("trl_once.py")
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

START = "<!-- trainer: written by trainer_bench.py, not by hand -->"
END = "<!-- end of trainer -->"
LIBRARIES = ("torch", "transformers", "trl")
WARM_UP = 2
"""Steps that are not counted."""
WORDS = "number is what plus of model reward state step value sum count tool call read".split()  # noqa: SIM905


class Shape(NamedTuple):
    """A Qwen3 of random weights, and what it is trained on."""

    name: str
    hidden: int
    layers: int
    vocabulary: int
    steps: int
    batch: int
    words: tuple[int, int]
    """Fewest and most of a completion."""


SPEED = (
    Shape("small", 64, 2, 1024, 40, 8, (20, 120)),
    Shape("larger", 384, 8, 32_000, 6, 8, (40, 240)),
)
LOGITS = Shape("128,000 words, 2 layers", 64, 2, 128_000, 4, 1, (2000, 2000))
DEEP = Shape("24 layers", 256, 24, 1024, 4, 2, (2000, 2000))
LONG = 2048
"""Tokens of a row where memory is measured."""
SHORT = 128
"""The same, for what is there whatever the length: libraries, weights, optimizer."""


class Run(NamedTuple):
    """What one run of training took."""

    seconds: float
    """Of the steps that count."""
    tokens: float
    peak: int
    """Bytes of the process."""


class Bench:
    def __init__(self, folder: Path, quick: bool) -> None:
        self.scratch, self.quick = Scratch(folder), quick
        self.models: dict[Shape, int] = {}

    def model(self, shape: Shape) -> Path:
        """Build model and rows, once."""
        folder = self.scratch.folder / "trainer" / shape.name.replace(" ", "-").replace(",", "")
        if shape not in self.models:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.models[shape] = build(shape, folder)
            (folder / "rows.jsonl").write_text(rows(shape), "utf-8")
        return folder

    def ours(self, shape: Shape, **keys: Any) -> Run:
        folder = self.model(shape)
        config = {
            "model_name_or_path": str(folder),
            "output_dir": str(self.scratch.outputs / "run"),
            "global_batch_size": shape.batch,
            "micro_batch_size": shape.batch,
            "max_steps": shape.steps,
            "max_length": LONG,
            "overlong": "cut",
            "learning_rate": 1e-4,
            "lr_scheduler": "constant",
            "warmup_ratio": 0,
            "logging_steps": 1,
            **keys,
        }
        file, kept = folder / "config.yaml", folder / "log.jsonl"
        file.write_text(yaml.safe_dump(config), "utf-8")
        data = ["--data_path", str(folder / "rows.jsonl"), "--config", str(file)]
        # Outputs are removed after a run; its log is copied first.
        copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
        log = self.scratch.outputs / "run" / "log.jsonl"
        train = [sys.executable, str(PROJECT / "train_custom.py"), *data]
        cost = self.run("ours", train, [sys.executable, "-c", copy, str(log), str(kept)])
        steps = [json.loads(line) for line in kept.read_text("utf-8").splitlines()][WARM_UP:]
        seconds = sum(step["step_seconds"] for step in steps)
        tokens = sum(step["tokens_per_second"] * step["step_seconds"] for step in steps)
        return Run(seconds, tokens, cost)

    def theirs(self, shape: Shape) -> Run:
        folder = self.model(shape)
        times = folder / "times.json"
        words = [str(folder), str(folder / "ordered.jsonl"), str(shape.steps), str(shape.batch)]
        ordered(shape, folder)
        cost = self.run("TRL", [sys.executable, str(TRL_ONCE), *words, str(times)])
        ends = json.loads(times.read_text("utf-8"))
        return Run(ends[-1] - ends[WARM_UP - 1], 0, cost)

    def run(self, name: str, *commands: list[str]) -> int:
        """Peak memory of the largest process, bytes."""
        try:
            return self.scratch.run(Job(name, commands)).peak
        except Failed as failure:
            raise SystemExit(f"error: {name}: {failure}; see {self.scratch.log}") from None


def build(shape: Shape, folder: Path) -> int:
    """Write the model and its tokenizer; how many weights it has."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from rl_rollouts.smoke import tiny_model

    tokenizer = tiny_model._tokenizer(SAMPLE, 1024)
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=max(len(tokenizer), shape.vocabulary),
            hidden_size=shape.hidden,
            intermediate_size=3 * shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=shape.hidden // 4,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


def rows(shape: Shape) -> str:
    """As many rows as the steps take, of varied length."""
    chance = random.Random(0)

    def text(words: int) -> str:
        return " ".join(chance.choices(WORDS, k=words))

    made: list[dict[str, Any]] = [
        {
            "task": str(n),
            "prompt": [{"role": "user", "content": text(20)}],
            "completion": [{"role": "assistant", "content": text(chance.randint(*shape.words))}],
            "tools": None,
            "reward": 1.0,
            "tokens": None,
            "metadata": {},
        }
        for n in range(shape.steps * shape.batch)
    ]
    return "".join(json.dumps(row) + "\n" for row in made)


def ordered(shape: Shape, folder: Path) -> None:
    """The rows in the order in which the custom trainer takes them."""
    from custom_data import step_rows
    from custom_settings import Settings

    lines = (folder / "rows.jsonl").read_text("utf-8").splitlines(keepends=True)
    keys = {"model_name_or_path": "m", "output_dir": ".", "global_batch_size": shape.batch}
    settings = Settings.model_validate(keys)
    order = [i for step in range(shape.steps) for i in step_rows(len(lines), settings, step)]
    (folder / "ordered.jsonl").write_text("".join(lines[i] for i in order), "utf-8")


def speed(bench: Bench, rounds: int) -> tuple[list[Figure], list[tuple[str, ...]]]:
    figures: list[Figure] = []
    lines: list[tuple[str, ...]] = []
    for shape in [SPEED[0]._replace(steps=6)] if bench.quick else SPEED:
        padded: list[Run] = []
        packed: list[Run] = []
        trl: list[Run] = []
        for _ in range(rounds):
            padded.append(bench.ours(shape, packing=False))
            trl.append(bench.theirs(shape))
            packed.append(bench.ours(shape, packing=True))
        weights = f"{bench.models[shape]:,} weights"
        for name, runs in (("padded", padded), ("packed", packed)):
            ratio = Ratios([b.seconds / a.seconds for a, b in zip(runs, trl, strict=True)])
            what = f"sft, {weights}, {name}: tokens per second, times TRL's"
            figures.append(at_least(what, ratio.median, str(ratio), 1.0))
        tokens = padded[0].tokens
        for name, runs in (("custom, padded", padded), ("custom, packed", packed), ("TRL", trl)):
            seconds = statistics.median(run.seconds for run in runs)
            peak = megabytes(max(run.peak for run in runs))
            rate = f"{tokens / seconds:,.0f}"
            lines.append((name, weights, rate, f"{seconds / (shape.steps - WARM_UP):.3f} s", peak))
    return figures, lines


def memory(bench: Bench) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    settings: tuple[tuple[Shape, str, tuple[Any, Any]], ...] = (
        (LOGITS, "loss_chunk", (0, 256)),
        (DEEP, "activation_checkpointing", (False, True)),
    )
    for shape, key, values in settings:
        least = bench.ours(shape, max_length=SHORT, **{key: values[0]})
        runs = [bench.ours(shape, **{key: value}) for value in values]
        for value, run in zip(values, runs, strict=True):
            lines.append(
                (
                    f"{shape.name}, {key}: {str(value).lower()}",
                    megabytes(run.peak),
                    megabytes(max(0, run.peak - least.peak)),
                    f"{run.seconds / (shape.steps - WARM_UP):.2f} s",
                )
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the small model, once, and no memory: seconds, for tests",
    )
    parser.add_argument("--scratch", type=Path, default=ROOT / ".bench", help="folder for files")
    parser.add_argument("--markdown", type=Path, help="file whose part on the trainer is replaced")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    bench = Bench(options.scratch, options.quick)
    figures, speeds = speed(bench, 1 if options.quick else options.rounds)
    peaks = [] if options.quick else memory(bench)
    text = "\n\n".join(
        [
            today(),
            "\n".join(f"- {line}" for line in machine(LIBRARIES)),
            table(
                ("What", "Measured: median (range)", "Target", "Met"),
                [(each.what, each.measured, each.target, each.answer) for each in figures],
            ),
            table(("Trainer", "Model", "Tokens per second", "Step", "Peak of the process"), speeds),
            table(
                ("Memory", "Peak of the process", f"Above rows of {SHORT} tokens", "Step"), peaks
            ),
        ]
    )
    print(text)
    if options.markdown:
        write(text, options.markdown, START, END)
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
