"""The custom trainer and TRL, in one run: the same model, rows, order and optimizer."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import transformers
import trl

import custom_data
from custom_runs import MARKED, Custom, Json, assistant, losses, pair_row, sft_row, user, write_rows
from custom_settings import Settings

pytestmark = pytest.mark.long

STEPS, BATCH, RATE = 50, 4, 3e-3
# Without white space after a turn, which TRL trains in completions and the custom trainer does not.
TEMPLATE = MARKED.replace("{{- '\\n' }}\n{%- endfor %}\n{%- if add", "{%- endfor %}\n{%- if add")
CONFIGS = {
    "sft": (trl.SFTTrainer, trl.SFTConfig, {}),
    "dpo": (trl.DPOTrainer, trl.DPOConfig, {"beta": 0.1}),
}


def rows_of(algorithm: str) -> list[Json]:
    asked = [[user(f"what is {n} plus {n}?{' please' * (n % 5)}")] for n in range(11)]
    right = [[assistant(f"the number {n + n}{' indeed' * (n % 3)}")] for n in range(11)]
    if algorithm == "sft":
        return [sft_row(*pair) for pair in zip(asked, right, strict=True)]
    wrong = [[assistant(f"{n} is what")] for n in range(11)]
    return [pair_row(*three) for three in zip(asked, right, wrong, strict=True)]


@pytest.fixture
def model(tiny_qwen: Path, custom_folder: Path) -> str:
    """The tiny model with that template."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tiny_qwen)
    tokenizer.chat_template = TEMPLATE
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_qwen)
    loaded.save_pretrained("model")
    tokenizer.save_pretrained("model")
    return "./model"


def theirs(algorithm: str, model: str, rows: list[Json]) -> list[float]:
    """TRL's loss of each step."""
    trainer, config, more = CONFIGS[algorithm]
    names = ("prompt", "completion", "chosen", "rejected")
    columns = [name for name in names if name in rows[0]]
    seen = datasets.Dataset.from_list([{name: row[name] for name in columns} for row in rows])
    arguments = config(
        output_dir="trl",
        use_cpu=True,
        bf16=False,
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
        activation_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        max_length=None,
        **more,
    )
    running = trainer(model=model, args=arguments, train_dataset=seen)
    running.train()
    return [entry["loss"] for entry in running.state.log_history if "loss" in entry]


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("algorithm", ["sft", "dpo"])
def test_losses_are_those_of_trl(custom: Custom, model: str, algorithm: str, packing: bool) -> None:
    rows = rows_of(algorithm)
    write_rows(rows)
    code, _, err = custom(
        algorithm=algorithm,
        model_name_or_path=model,
        max_steps=STEPS,
        global_batch_size=BATCH,
        learning_rate=RATE,
        lr_scheduler="constant",
        warmup_ratio=0,
        packing=packing,
    )
    assert code == 0, err
    settings = Settings(model_name_or_path=model, output_dir=Path(), global_batch_size=BATCH)
    order = [i for step in range(STEPS) for i in custom_data.step_rows(len(rows), settings, step)]
    found = theirs(algorithm, model, [rows[i] for i in order])
    assert len(found) == STEPS and found[-1] < found[0] / 2
    assert losses() == pytest.approx(found, abs=1e-4)
