"""What can be known to be wrong before the model is loaded."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from custom_data import Dataset, load_dataset
from custom_settings import Settings, refuse
from dataprep.errors import UserError
from dataprep.write import files_of
from rewards_checked import load_score, reward_of


def check(settings: Settings, data_path: Path) -> tuple[Any, Dataset]:
    """The tokenizer and the tokenised rows; UserError with all that is wrong.

    The rows are looked at last: they may take minutes, the rest takes seconds.
    """
    if problems := list(quick_problems(settings, data_path)):
        raise refuse(problems)
    tokenizer = load_tokenizer(settings.model_name_or_path)
    data = load_dataset(data_path, tokenizer, settings)
    if settings.online:
        first = data.prompts[0]
        score = load_score(settings.rewards)
        reward_of(first.messages, "", first.ground_truth, first.metadata, score)
    return tokenizer, data


def quick_problems(settings: Settings, data_path: Path) -> Iterator[str]:
    """Problems of batch, paths and packages."""
    if problem := settings.batch_problem(processes()):
        yield problem
    output, model, tracker = settings.output_dir, settings.model_name_or_path, settings.tracker
    if output.is_file():
        yield f"output_dir {output} is a file; choose another output_dir"
    earlier = [p.name for p in (output / "final", *output.glob("checkpoint-*")) if p.exists()]
    if earlier and not settings.resume:
        yield (
            f"output_dir {output} holds {', '.join(sorted(earlier))} of an earlier run; continue "
            "it with --resume, choose another output_dir, or move the folder away"
        )
    if not files_of(data_path):
        yield f"there is no data file {data_path}; give the prepared rows with --data_path"
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model)
    if not is_hub_id and not Path(model, "config.json").is_file():
        yield f"model_name_or_path {model} is not a folder with a config.json; correct the path"
    if tracker != "none" and find_spec(tracker) is None:
        yield f"tracker {tracker} needs a package: pip install {tracker}, or set tracker: none"
    torch = find_spec("torch")
    if settings.compile and torch and " " in str(torch.origin):
        yield (
            f"compile cannot link torch in {torch.origin}, because its path has a blank; install "
            "the environment elsewhere, or set compile: false"
        )
    if settings.algorithm == "dpo" and not settings.pull:
        yield "beta is 0, and dpo learns only through it; set beta: 0.1"
    if settings.online and settings.max_new_tokens >= settings.max_length:
        yield (
            f"max_new_tokens {settings.max_new_tokens} leave no room for a prompt in max_length "
            f"{settings.max_length}; lower the one, or raise the other"
        )


def processes() -> int:
    """Processes of this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def load_tokenizer(model: str) -> Any:
    """The tokenizer of a model, which must be there and able to chat."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        AutoConfig.from_pretrained(model)
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"model_name_or_path {model} does not load: {reason}",
            "Give a Hugging Face id that you may read, or a local folder.",
        ) from None
    if not tokenizer.chat_template or not tokenizer.is_fast:
        raise UserError(
            f"The tokenizer of {model} needs a chat template and a tokenizer.json.",
            "Take an instruction-tuned model, or add chat_template.jinja to its folder.",
        )
    return tokenizer


def summary(settings: Settings, data: Dataset, tokenizer: Any) -> str:
    """What will be trained, in a few lines."""
    rows, batch, micro = len(data), settings.global_batch_size, settings.micro_batch_size
    sequences = [each for item in data.items for each in item]
    tokens = [each.tokens for each in sequences] or [each.tokens for each in data.prompts]
    lengths = sorted(map(len, tokens))
    lines = [
        f"rows     {data.counts(settings)}",
        f"lengths  {lengths[0]} to {lengths[-1]} tokens, median {lengths[len(lengths) // 2]}",
    ]
    if sequences:
        trained, first = sum(each.trained_tokens for each in sequences), sequences[0]
        stop = tokenizer.decode([first.tokens[first.trained.rindex(1)]])
        lines += [f"trained  {trained} of {sum(lengths)} tokens; the first row ends with {stop!r}"]
    what = {"sft": "sequences", "dpo": "pairs", "grpo": "responses"}[settings.algorithm]
    passes = f"{micro} {what} x {batch // (micro * processes())} forward passes"
    if settings.packing:
        passes = f"at most {micro * settings.max_length} tokens a forward pass"
    steps = f"{settings.total_steps(rows)} of {batch} {what}"
    return "\n".join([*lines, f"steps    {steps} = {passes} x {processes()} processes"])
