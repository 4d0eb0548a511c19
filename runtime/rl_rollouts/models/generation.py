"""Responses of a model in this process: prompts as tokens -> the tokens that it writes."""

from collections.abc import Sequence
from typing import Any


def write(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], **options: Any
) -> list[list[int]]:
    """One response to each prompt, with its end token if it came to an end.

    Args:
        model: of transformers, in evaluation mode.
        tokenizer: with a padding token.
        options: of its `generate`: max_new_tokens, do_sample, temperature and so on.
    """
    import torch

    rows = {"input_ids": [list(prompt) for prompt in prompts]}
    inputs = tokenizer.pad(rows, padding_side="left", return_tensors="pt").to(model.device)
    ends = end_tokens(model, tokenizer)
    with torch.no_grad():
        output = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            eos_token_id=sorted(ends) or None,
            pad_token_id=tokenizer.pad_token_id,
            **options,
        )
    return [_to_end(tokens, ends) for tokens in output[:, inputs["input_ids"].shape[1] :].tolist()]


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a response."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {token for token in [*ends, tokenizer.eos_token_id] if token is not None}


def _to_end(tokens: list[int], ends: set[int]) -> list[int]:
    """Without the padding that follows the end of a response."""
    last = next((n for n, token in enumerate(tokens, 1) if token in ends), None)
    return tokens[:last]
