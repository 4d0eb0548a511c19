"""Held-out rows, and which of them fit into a model."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..models.folders import load_config, load_tokenizer

Row = dict[str, Any]
SHOWN = 100
"""Letters of a prompt in an error."""


def read_rows(path: Path, keys: set[str], remedy: str) -> list[Row]:
    """The rows of a prepared file.

    Raises:
        UserError: when it is not there, is empty, or has other rows.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Run `make prepare` first.") from None
    missing = {key for row in rows for key in keys - set(row if isinstance(row, dict) else ())}
    if missing:
        raise UserError(f"{path} holds rows without {', '.join(sorted(missing))}.", remedy)
    if not rows:
        raise UserError(f"{path} is empty: no task is held out.", "Raise --eval_share.")
    return rows


def context_of(name: str) -> int | None:
    """Tokens that a model can see, prompt and response together; None where it does not say."""
    config = load_config(name).get_text_config()
    return getattr(config, "max_position_embeddings", None)


def encode(
    tokenizer: Any, messages: Any, tools: Any, *, ask: bool, thinking: bool = False
) -> list[int]:
    """A chat as token ids.

    Args:
        ask: whether the model's turn begins at the end.
        thinking: whether that turn is to begin with reasoning, where the model can do without.

    Raises:
        UserError: when the chat template refuses it.
    """
    from ..models.chat_masks import Refused, refusals

    try:
        with refusals():
            text = tokenizer.apply_chat_template(
                messages,
                tools=tools,
                add_generation_prompt=ask,
                tokenize=False,
                **({"enable_thinking": thinking} if ask else {}),
            )
    except Refused as refused:
        last = str(messages[-1].get("content") or "")[:SHOWN] if messages else ""
        raise UserError(
            f"{tokenizer.name_or_path} refuses the prompt that ends with {last!r}: {refused}",
            "Leave such rollouts out when filtering, or change the template.",
        ) from None
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def that_fit(
    names: Sequence[str], prompts: Sequence[Row], new_tokens: int, *, thinking: bool = False
) -> list[Row]:
    """The prompts that leave room for a response in every model.

    Raises:
        UserError: when there is none.
    """
    kept = list(prompts)
    for name in names:
        context = context_of(name)
        if context is None:
            continue
        room, tokenizer = context - new_tokens, load_tokenizer(name)
        ask = partial(encode, tokenizer, ask=True, thinking=thinking)
        lengths = [len(ask(row["prompt"], row["tools"])) for row in kept]
        shortest = min(lengths)
        kept = [row for row, length in zip(kept, lengths, strict=True) if length <= room]
        if not kept:
            raise UserError(
                f"No prompt fits into {name}: it sees {context} tokens, {new_tokens} of them are "
                f"for the response, and the shortest prompt has {shortest}.",
                "Lower --max_new_tokens, or take a model that sees more.",
            )
    return kept
