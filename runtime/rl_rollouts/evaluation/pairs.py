"""Reward models, which write nothing: how they score held-out pairs."""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from ..errors import UserError
from ..models.devices import placed
from ..models.folders import load_model, load_tokenizer
from .prompts import Row, context_of, encode

PAIR_KEYS = {"prompt", "chosen", "rejected", "tools"}
SIDES = ("chosen", "rejected")


def pairs_that_fit(names: Sequence[str], pairs: Sequence[Row]) -> list[Row]:
    """The pairs of which every model can see both sides whole.

    Raises:
        UserError: when there is none.
    """
    kept = list(pairs)
    for name in names:
        context, tokenizer = context_of(name), load_tokenizer(name)
        if context is not None:
            kept = [pair for pair in kept if max(map(len, _both(tokenizer, pair))) <= context]
    if not kept:
        raise UserError("No pair fits into the model.", "Prepare shorter ones with --max_tokens.")
    return kept


def scored(name: str, pairs: Sequence[Row], batch_size: int) -> list[Row]:
    """Each pair with the scores of both sides."""

    tokenizer = load_tokenizer(name, padding_side="right")
    model = load_model(name, reward=True)
    if model.config.num_labels != 1:
        raise UserError(
            f"{name} gives {model.config.num_labels} scores; a reward model gives one.",
            "Give a model that was trained with the algorithm rm.",
        )
    if model.config.pad_token_id is None:
        # Where the padding begins, is where the score is read.
        model.config.pad_token_id = tokenizer.pad_token_id
    model = placed(model)
    texts = [ids for pair in pairs for ids in _both(tokenizer, pair)]
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    scores = dict.fromkeys(order, 0.0)
    for start in tqdm(range(0, len(order), batch_size), desc=f"evaluating {name}"):
        batch = order[start : start + batch_size]
        found = _scores(model, tokenizer, [texts[at] for at in batch])
        scores.update(zip(batch, found, strict=True))
    return [_row(name, pair, scores[2 * at], scores[2 * at + 1]) for at, pair in enumerate(pairs)]


def _scores(model: Any, tokenizer: Any, batch: list[list[int]]) -> list[float]:
    import torch

    inputs = tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        logits = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).logits
    found: list[float] = logits[:, 0].float().tolist()
    return found


def _both(tokenizer: Any, pair: Row) -> list[list[int]]:
    """The conversation that ends as chosen, and the one that ends as rejected, as in training."""
    prompt, tools = pair["prompt"], pair["tools"]
    return [encode(tokenizer, [*prompt, *pair[side]], tools, ask=False) for side in SIDES]


def _row(name: str, pair: Row, chosen: float, rejected: float) -> Row:
    return {
        "model": name,
        **{key: pair[key] for key in ("prompt", *SIDES)},
        "chosen_score": chosen,
        "rejected_score": rejected,
        "margin": chosen - rejected,
    }
