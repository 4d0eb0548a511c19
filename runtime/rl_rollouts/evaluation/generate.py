"""Responses of a model to prompts, with their rewards."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from tqdm import tqdm

from ..models.devices import placed
from ..models.folders import load_model, load_tokenizer
from ..models.generation import end_tokens, write
from ..rewards.checked import Score, judge
from .prompts import Row, encode


class Sampling(NamedTuple):
    """How responses are drawn."""

    samples: int
    """Responses to each prompt."""
    max_new_tokens: int
    temperature: float
    """0 takes the likeliest token."""
    batch_size: int
    """Responses that are written at once."""
    seed: int
    thinking: bool = False
    """Whether a model that can reason before it answers is asked to."""


def responses(name: str, prompts: Sequence[Row], sampling: Sampling, score: Score) -> list[Row]:
    """Of each prompt its samples, in the order of the prompts."""
    import torch

    tokenizer = load_tokenizer(name)
    ask = partial(encode, tokenizer, ask=True, thinking=sampling.thinking)
    encoded = [ask(row["prompt"], row["tools"]) for row in prompts]
    model = placed(load_model(name))
    ends = end_tokens(model, tokenizer)
    torch.manual_seed(sampling.seed)
    found: dict[tuple[int, int], Row] = {}
    for batch in _batches(encoded, sampling, f"evaluating {name}"):
        asked = [encoded[at] for at, _ in batch]
        written = write(model, tokenizer, asked, **_options(sampling))
        for (at, sample), tokens in zip(batch, written, strict=True):
            text = tokenizer.decode(tokens, skip_special_tokens=True)
            row = prompts[at]
            found[at, sample] = {
                "model": name,
                "task": row["task"],
                "prompt": row["prompt"],
                "sample": sample,
                "response": text,
                "ground_truth": row["ground_truth"],
                "reward": judge(row, text, score),
                "tokens": len(tokens),
                "cut": tokens[-1] not in ends and len(tokens) >= sampling.max_new_tokens,
            }
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return [found[key] for key in sorted(found)]


def _batches(
    encoded: Sequence[list[int]], sampling: Sampling, title: str
) -> Iterator[list[tuple[int, int]]]:
    """Prompts and samples; prompts of like length together, the longest first: a batch is padded to
    its longest, and memory that does not suffice is known at once."""
    order = sorted(range(len(encoded)), key=lambda at: -len(encoded[at]))
    jobs = [(at, sample) for at in order for sample in range(sampling.samples)]
    for start in tqdm(range(0, len(jobs), sampling.batch_size), desc=title):
        yield jobs[start : start + sampling.batch_size]


def _options(sampling: Sampling) -> dict[str, Any]:
    """What transformers' `generate` is told."""
    if sampling.temperature > 0:
        chosen: dict[str, Any] = {"do_sample": True, "temperature": sampling.temperature}
    else:
        chosen = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {"max_new_tokens": sampling.max_new_tokens, **chosen}
