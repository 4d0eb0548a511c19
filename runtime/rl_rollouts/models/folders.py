"""What lies in the folder of a model, and how it is loaded: whole models, LoRA adapters, and reward
models, which score a conversation instead of writing one."""

import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..hub import ask_nobody_in_vain, loading

Json = dict[str, Any]


def adapter_config(name: str) -> Json | None:
    """What a folder of LoRA weights says about itself; None for a whole model."""
    from transformers.utils import find_adapter_config_file

    ask_nobody_in_vain(name)
    try:
        path = find_adapter_config_file(name)
        if path is None:
            return None
        config: Json = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return config


def base_of(name: str, adapter: Json, given: str | None = None) -> str:
    """The model that an adapter was trained on.

    Raises:
        UserError: when the adapter does not say.
    """
    base = given or adapter.get("base_model_name_or_path")
    if not base:
        raise UserError(
            f"{name} holds LoRA weights and does not say of which model.",
            "Write base_model_name_or_path into its adapter_config.json.",
        )
    return str(base)


def is_reward_model(name: str) -> bool:
    """Whether a model scores conversations, as its config says."""
    from transformers import AutoConfig

    adapter = adapter_config(name)
    if adapter is not None:
        return adapter.get("task_type") == "SEQ_CLS"
    with loading(name):
        architectures = AutoConfig.from_pretrained(name).architectures or []
    return any(each.endswith("ForSequenceClassification") for each in architectures)


def load_config(name: str, base: str | None = None) -> Any:
    """The config; of an adapter, that of its base."""
    from transformers import AutoConfig

    adapter = adapter_config(name)
    whole = name if adapter is None else base_of(name, adapter, base)
    with loading(whole):
        return AutoConfig.from_pretrained(whole)


def load_tokenizer(name: str, base: str | None = None, **options: Any) -> Any:
    """The tokenizer beside a model, or that of its base.

    Raises:
        UserError: when there is none, or it has no chat template.
    """
    from transformers import AutoTokenizer

    adapter = adapter_config(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError):
        if adapter is None and base is None:
            with loading(name):
                raise
        whole = base_of(name, adapter or {}, base)
        with loading(whole):
            tokenizer = AutoTokenizer.from_pretrained(whole, **options)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    name: str, *, dtype: Any = "auto", reward: bool = False, base: str | None = None
) -> Any:
    """A model on the CPU. LoRA weights are put on their base, not yet merged into it.

    Args:
        reward: load a reward model, with one score.
        base: in place of the one that an adapter names.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    adapter = adapter_config(name)
    peft = None if adapter is None else import_peft(name)
    whole = name if adapter is None else base_of(name, adapter, base)
    loader: Any = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    labels = {"num_labels": 1} if reward and adapter is not None else {}
    with loading(whole):
        model = loader.from_pretrained(whole, dtype=dtype, **labels)
    if peft is not None:
        with loading(name):
            model = peft.PeftModel.from_pretrained(model, name)
    return model


def import_peft(name: str) -> Any:
    """The library of LoRA weights.

    Raises:
        UserError: when it is not installed.
    """
    try:
        import peft
    except ImportError:
        raise UserError(
            f"{name} holds LoRA weights, and peft is not installed.", "Run `pip install peft`."
        ) from None
    return peft


def check_model(name: str) -> None:
    """Before a long evaluation of the first model, see that the others are there."""
    adapter = adapter_config(name)
    if adapter is not None:
        import_peft(name)
    load_config(name)
    if not load_tokenizer(name).chat_template:
        raise UserError(
            f"{name} has no chat template, and prompts are chats.",
            "Give a model that was trained on chats.",
        )
