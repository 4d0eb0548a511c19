"""Length in tokens, as the chat template of a model writes it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import msgspec

from ..errors import SetAside, UserError
from ..hub import loading
from .rollout import Json, Rollout

Count = Callable[[list[Json], Any], int]
"""Tokens of a conversation with tools."""
REMEDY = "Run `make install`, or give --max_chars in its place."


def counter(
    model: str, *, download: bool, template: Callable[[Any], str | None] = lambda _: None
) -> Count:
    """Counts tokens with the tokenizer of a model.

    Args:
        download: whether a tokenizer that is not on this machine may be fetched.
        template: the chat template that a trainer takes in place of the tokenizer's.

    What it returns raises SetAside, with the reason, for what the chat template does not take.

    Raises:
        UserError: when there is no such tokenizer here, or it cannot chat.
    """
    try:
        from transformers import AutoTokenizer

        refusals = template_errors()
    except ImportError:
        raise UserError("transformers is not installed here", REMEDY) from None
    try:
        with loading(model) if download else nullcontext():
            tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=not download)
    except (OSError, ValueError):
        raise UserError(f"no tokenizer of {model} is on this machine", REMEDY) from None
    if not tokenizer.chat_template:
        raise UserError(f"the tokenizer of {model} has no chat template", REMEDY)

    taken = template(tokenizer)

    def count(messages: list[Json], tools: Any) -> int:
        try:
            encoded = tokenizer.apply_chat_template(
                messages, tools=tools, chat_template=taken, return_dict=True
            )
        except refusals as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise SetAside(f"the chat template of the model refuses it: {said}") from None
        return len(encoded["input_ids"])

    return count


def template_errors() -> tuple[type[Exception], ...]:
    """What chat templates raise for a conversation that they were not made for."""
    from jinja2 import TemplateError

    return TemplateError, TypeError, ValueError, LookupError, AttributeError


def rollout_counter(model: str | None) -> Callable[[Rollout], int] | None:
    """Counts the tokens of rollouts, where a model is named."""
    if model is None:
        return None
    count = counter(model, download=True)

    def tokens(rollout: Rollout) -> int:
        messages = msgspec.json.encode([*rollout.prompt, *rollout.completion])
        return count(msgspec.json.decode(messages), msgspec.json.decode(rollout.tools))

    return tokens
