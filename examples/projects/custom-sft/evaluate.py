"""Generate on held-out prompts and score the answers with rewards.py.

    python evaluate.py --model outputs/my-run/final --prompts training_data.prompts.jsonl

Give several models (the one before training and the one after) to compare them in one table.
Responses and rewards go to --output, one line each. Tools are shown to the model but not run: a
response that calls one is scored by its text.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataprep.errors import UserError, run
from dataprep.write import Output
from rewards import score

PROMPT_KEYS = {"task", "prompt", "tools", "ground_truth", "metadata"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", required=True, help="Hugging Face ids or folders")
    parser.add_argument("--prompts", type=Path, default=Path("training_data.prompts.jsonl"))
    parser.add_argument("--output", type=Path, default=Path("evaluation.jsonl"))
    parser.add_argument("--max_new_tokens", type=int, default=512)
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--limit", type=int, help="only the first prompts")
    arguments = parser.parse_args()
    for name in ("max_new_tokens", "batch_size", "limit"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            raise UserError(f"--{name} is {getattr(arguments, name)}.", "Give 1 or more.")
    for model in arguments.model:
        check_model(model)
    prompts = read_prompts(arguments.prompts)[: arguments.limit]
    results = {}
    with Output(arguments.output) as output:
        for model in arguments.model:
            results[model] = list(responses(model, prompts, arguments))
            for row in results[model]:
                output.write(row)
    print_table(results)
    print(f"wrote {arguments.output}")


def check_model(name: str) -> None:
    """Before a long evaluation of the first model, see that the others are there."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        AutoConfig.from_pretrained(name)
        AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot load {name}: {error}", "Give a trained model.") from None


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """Rows with prompt, tools, ground_truth and metadata, as prepare_for_*.py writes them."""
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Run `make prepare` first.") from None
    if any(not isinstance(row, dict) or not set(row) >= PROMPT_KEYS for row in rows):
        raise UserError(
            f"{path} holds rows without {', '.join(sorted(PROMPT_KEYS))}.",
            "Give the .prompts.jsonl that prepare_for_*.py writes.",
        )
    if not rows:
        raise UserError(f"{path} is empty: no task is held out.", "Raise --eval_share.")
    return rows


def responses(
    name: str, prompts: Sequence[dict[str, Any]], arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Generate in batches, the prompts padded on the left."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    sampling = {"do_sample": False}
    if arguments.temperature > 0:
        sampling = {"do_sample": True, "temperature": arguments.temperature}
    for start in tqdm(range(0, len(prompts), arguments.batch_size), desc=f"evaluating {name}"):
        batch = prompts[start : start + arguments.batch_size]
        texts = [
            tokenizer.apply_chat_template(
                row["prompt"], tools=row["tools"], add_generation_prompt=True, tokenize=False
            )
            for row in batch
        ]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs = {key: inputs[key].to(model.device) for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            generated = model.generate(
                **inputs, max_new_tokens=arguments.max_new_tokens, **sampling
            )
        for row, tokens in zip(batch, generated[:, inputs["input_ids"].shape[1] :], strict=True):
            yield _result(name, row, tokenizer.decode(tokens, skip_special_tokens=True), tokens)


def _result(name: str, row: dict[str, Any], text: str, tokens: Any) -> dict[str, Any]:
    reward = score(row["prompt"], text, row["ground_truth"], row["metadata"])
    return {
        "model": name,
        "task": row["task"],
        "prompt": row["prompt"],
        "response": text,
        "ground_truth": row["ground_truth"],
        "reward": float(reward),
        "tokens": len(tokens),
    }


def print_table(results: dict[str, list[dict[str, Any]]]) -> None:
    print(f"{'prompts':>8} {'mean reward':>12} {'mean tokens':>12}  model")
    for name, rows in results.items():
        count = len(rows)
        reward = sum(row["reward"] for row in rows) / count
        tokens = sum(row["tokens"] for row in rows) / count
        print(f"{count:>8} {reward:>12.3f} {tokens:>12.1f}  {name}")


if __name__ == "__main__":
    run(main)
