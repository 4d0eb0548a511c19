"""Length in tokens, with the tokenizer of the project's model."""

from collections.abc import Callable

import msgspec

from .errors import UserError
from .rollout import Rollout

REMEDY = "Run `make install`, or give --max_chars in its place."


def token_counter(model: str | None) -> Callable[[Rollout], int] | None:
    """Counts the tokens of a rollout as the model's chat template writes it.

    Raises:
        UserError: when there is no such tokenizer here, or it cannot chat.
    """
    if model is None:
        return None
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model)
    except ImportError:
        raise UserError("Counting tokens needs transformers.", REMEDY) from None
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot load the tokenizer of {model}: {error}", REMEDY) from None
    if not tokenizer.chat_template:
        raise UserError(f"The tokenizer of {model} has no chat template.", REMEDY)

    def count(rollout: Rollout) -> int:
        messages = msgspec.json.decode(msgspec.json.encode([*rollout.prompt, *rollout.completion]))
        tools = msgspec.json.decode(rollout.tools)
        encoded = tokenizer.apply_chat_template(messages, tools=tools, return_dict=True)
        return len(encoded["input_ids"])

    return count
