"""The config schema of the installed TRL, and the chat templates that it knows."""

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from contracts.extraction import Json, schema
from contracts.trl import launching, limits
from scaffolder.frameworks import discover


@dataclass
class TrlParser:
    """What TRL's parser takes from a config before any dataclass sees it."""

    env: dict[str, str] = field(default_factory=dict)


TrlParser.__module__ = "trl"


def classes_of(algorithm: str) -> tuple[type, ...]:
    """The dataclasses whose fields are the keys of an algorithm's config."""
    import trl_settings

    classes: tuple[type, ...] = trl_settings.classes_of(algorithm)
    return classes


def extract() -> Json:
    """The schema of every algorithm that the adapter offers."""
    algorithms = discover()["trl"].algorithms
    classes = {str(name): (*classes_of(name), TrlParser) for name in algorithms}
    found = schema("trl", version("trl"), classes, reads="argparse")
    limits.add(found["classes"])
    found["files"] = {launching.FILE: ["ClusterConfig", "LaunchOptions"]}
    found["classes"] |= launching.classes()
    return {**found, "chat_templates": chat_templates()}


def chat_templates() -> dict[str, str]:
    """SHA-256 of each packaged template for which TRL has one that marks the model's words.

    TRL recognises a model's template by equality with one of these (`get_training_chat_template`).
    """
    from trl import chat_template_utils as utils

    texts = {
        name.removesuffix("_chat_template"): value
        for name, value in vars(utils).items()
        if name.endswith("_chat_template") and isinstance(value, str)
    }
    return {
        name: hashlib.sha256(value.encode()).hexdigest()
        for name, value in texts.items()
        if _is_replaced(value)
    }


def _is_replaced(chat_template: str) -> bool:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import get_training_chat_template

    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="a", eos_token="a", pad_token="a"
    )
    tokenizer.chat_template = chat_template
    try:
        return get_training_chat_template(tokenizer) is not None
    except ValueError:
        return False
