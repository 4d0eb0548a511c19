"""The trainer of custom projects, run as its user runs it, on a tiny model. A plugin of pytest.

Also loaded where there is no torch, so it is imported inside.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import LIBRARY, TEMPLATES

SOURCE = TEMPLATES / "{{custom}}"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, (TEMPLATES / "{{base}}", LIBRARY.parent))),
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
"""In a project, rewards.py lies beside the trainer, and the library is installed."""
Custom = Callable[..., tuple[int, str, str]]
Json = dict[str, Any]

MARKED = """
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}{% generation %}
{%- if message.reasoning_content %}
{{- '<think>' + message.reasoning_content + '</think>' }}
{%- endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<call>' + (call.function | tojson) + '</call>' }}
{%- endfor %}
{{- '<|im_end|>' }}{% endgeneration %}
{%- else %}{{- message.content + '<|im_end|>' }}{% endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""


def user(content: str) -> Json:
    return {"role": "user", "content": content}


def assistant(content: str | None, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def sft_row(prompt: list[Json], completion: list[Json], **more: Any) -> Json:
    """A row with all that its schema asks for."""
    rest: Json = {"task": "t", "tools": None, "reward": 1.0, "tokens": None, "metadata": {}}
    return {**rest, "prompt": prompt, "completion": completion, **more}


def pair_row(prompt: list[Json], chosen: list[Json], rejected: list[Json]) -> Json:
    rewards = {"chosen_reward": 1.0, "rejected_reward": 0.0}
    sides = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return {"task": "t", "tools": None, **rewards, **sides}


def prompt_row(prompt: list[Json], **more: Any) -> Json:
    rest: Json = {"task": "t", "tools": None, "ground_truth": None, "metadata": {}}
    return {**rest, "prompt": prompt, **more}


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of two layers with tied embeddings and a byte-level tokenizer."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("tiny")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(["assistant user system tool the number is what plus"] * 20, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>", chat_template=MARKED
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        attention_dropout=0.0,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def custom_folder(tiny_qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rows and a config, in which the commands are run."""
    import yaml

    monkeypatch.chdir(tmp_path)
    write_rows(
        [
            sft_row([user(f"what is {n} plus {n}?")], [assistant(f"the number {n + n}")])
            for n in range(11)
        ]
    )
    config = {
        "model_name_or_path": str(tiny_qwen),
        "output_dir": "out",
        "global_batch_size": 4,
        "learning_rate": 0.01,
        "max_steps": 4,
        "logging_steps": 1,
    }
    Path("custom_config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.fixture
def custom(
    custom_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Custom:
    """Run train_custom.py with more arguments and `key=value` overrides: (exit code, out, err)."""
    import torch

    import train_custom
    from rl_rollouts.errors import run

    torch.set_num_threads(1)

    def command(*arguments: str, **overrides: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", command_line(*arguments, **overrides))
        try:
            run(train_custom.main)
        except SystemExit as error:
            return int(error.code or 0), *capsys.readouterr()
        return 0, *capsys.readouterr()

    return command


def command_line(*arguments: str, **overrides: object) -> list[str]:
    files = ["--data_path", "training_data.jsonl", "--config", "custom_config.yaml"]
    changes = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    return [str(SOURCE / "train_custom.py"), *files, *changes, *arguments]


def started(*arguments: str, processes: int = 1, **overrides: object) -> "subprocess.Popen[str]":
    """The same in processes of its own, in this folder."""
    return _started(sys.executable, processes, command_line(*arguments, **overrides))


def torchrun(*arguments: str, processes: int = 2, **overrides: object) -> str:
    """Run it to its end; what it said."""
    from projects import interpreter

    process = _started(interpreter(), processes, command_line(*arguments, **overrides))
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    return said


def _started(program: str, processes: int, command: list[str]) -> "subprocess.Popen[str]":
    together = ["-m", "torch.distributed.run", "--standalone", "--shutdown_timeout=600"]
    together.append(f"--nproc_per_node={processes}")
    return subprocess.Popen(
        [program, *(together if processes > 1 else []), *command],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def write_rows(rows: list[Json]) -> None:
    Path("training_data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def log(output: str = "out") -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(output, "log.jsonl").read_text().splitlines()]


def losses(output: str = "out") -> list[float]:
    return [line["loss"] for line in log(output)]


def weights(folder: str | Path) -> dict[str, Any]:
    import transformers

    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    return dict(loaded.state_dict())
