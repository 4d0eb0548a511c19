"""Responses of a model to prompts, with their rewards."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from model_folders import load_model, load_tokenizer
from rewards_checked import Score, answer_of, reward_of

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


def responses(name: str, prompts: Sequence[Row], sampling: Sampling, score: Score) -> list[Row]:
    """Of each prompt its samples, in the order of the prompts."""
    import torch

    tokenizer = load_tokenizer(name, padding_side="left")
    encoded = [encode(tokenizer, row["prompt"], row["tools"], ask=True) for row in prompts]
    model = load_model(name)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    ends = _ends(model, tokenizer)
    torch.manual_seed(sampling.seed)
    found: dict[tuple[int, int], Row] = {}
    for batch in _batches(encoded, sampling, f"evaluating {name}"):
        written = _generate(model, tokenizer, [encoded[at] for at, _ in batch], sampling)
        for (at, sample), tokens in zip(batch, written, strict=True):
            ended = next((n for n, token in enumerate(tokens, 1) if token in ends), None)
            text = tokenizer.decode(tokens[:ended], skip_special_tokens=True)
            row = prompts[at]
            truth, facts = row["ground_truth"], row["metadata"]
            found[at, sample] = {
                "model": name,
                "task": row["task"],
                "prompt": row["prompt"],
                "sample": sample,
                "response": text,
                "ground_truth": truth,
                "reward": reward_of(row["prompt"], answer_of(text), truth, facts, score),
                "tokens": len(tokens) if ended is None else ended,
                "cut": ended is None and len(tokens) >= sampling.max_new_tokens,
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


def _generate(
    model: Any, tokenizer: Any, batch: list[list[int]], sampling: Sampling
) -> list[list[int]]:
    """The tokens that a model writes after each prompt; what stands after its end is padding."""
    import torch

    inputs = tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(model.device)
    options: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None}
    options["top_k"] = None
    if sampling.temperature > 0:
        options = {"do_sample": True, "temperature": sampling.temperature}
    with torch.inference_mode():
        written = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            **options,
        )
    tokens: list[list[int]] = written[:, inputs["input_ids"].shape[1] :].tolist()
    return tokens


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a response."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {token for token in [*ends, tokenizer.eos_token_id] if token is not None}
