"""Models small enough to be made in a test: whole, with LoRA weights, and reward models."""

import json
from pathlib import Path
from typing import Any

import torch

from conftest import SAMPLE
from rl_rollouts.smoke import tiny_model


def build(folder: Path) -> Path:
    """The model of smoke runs, with random weights."""
    tiny_model.build(SAMPLE, folder)
    return folder


def copied(model: Path, folder: Path, **changes: Any) -> Path:
    """The same weights, moved a little at random, and another config."""
    from transformers import AutoModelForCausalLM

    other = AutoModelForCausalLM.from_pretrained(model)
    torch.manual_seed(1)
    for weight in other.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.02)
    other.save_pretrained(folder)
    save_tokenizer(model, folder)
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return folder


def with_lora(model: Path, folder: Path, *, reward: bool = False) -> Path:
    """LoRA weights that change what the model does."""
    import peft
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    torch.manual_seed(2)
    loader: Any = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    base = loader.from_pretrained(model, **({"num_labels": 1} if reward else {}))
    kind = "SEQ_CLS" if reward else "CAUSAL_LM"
    wanted = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type=kind)
    adapter = peft.get_peft_model(base, wanted)
    for name, weight in adapter.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.3)
    adapter.save_pretrained(folder)
    return folder


def reward_model(model: Path, folder: Path, labels: int = 1) -> Path:
    """A head that scores, on the same weights."""
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(3)
    judge = AutoModelForSequenceClassification.from_pretrained(model, num_labels=labels)
    judge.save_pretrained(folder)
    save_tokenizer(model, folder)
    return folder


def save_tokenizer(model: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
