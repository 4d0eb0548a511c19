"""What can be known to be wrong before the model is loaded."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from custom_data import Dataset, load_dataset
from custom_settings import Settings, UserError
from dataprep.write import files_of


def check(settings: Settings, data_path: Path, resume: bool) -> tuple[Any, Dataset]:
    """The tokenizer and the tokenised rows; UserError with all that is wrong.

    The rows are looked at last: they may take minutes, the rest takes seconds.
    """
    if problems := list(quick_problems(settings, data_path, resume)):
        raise UserError(*problems)
    tokenizer = load_tokenizer(settings.model_name_or_path)
    data = load_dataset(data_path, tokenizer, settings)
    if resume:
        from custom_checkpoint import newest_checkpoint, run_facts

        newest_checkpoint(settings.output_dir, run_facts(settings, data))
    return tokenizer, data


def quick_problems(settings: Settings, data_path: Path, resume: bool) -> Iterator[str]:
    """Problems of batch, paths and packages."""
    if problem := settings.batch_problem(processes()):
        yield problem
    output, model, tracker = settings.output_dir, settings.model_name_or_path, settings.tracker
    if output.is_file():
        yield f"output_dir {output} is a file; choose another output_dir"
    earlier = [p.name for p in (output / "final", *output.glob("checkpoint-*")) if p.exists()]
    if earlier and not resume:
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
        raise UserError(f"model_name_or_path {model} does not load: {reason}") from None
    if not tokenizer.chat_template or not tokenizer.is_fast:
        raise UserError(
            f"the tokenizer of {model} needs a chat template and a tokenizer.json; "
            "take an instruction-tuned model, or add chat_template.jinja to its folder"
        )
    return tokenizer


def summary(settings: Settings, data: Dataset, tokenizer: Any) -> str:
    """What will be trained, in a few lines."""
    rows, first = len(data.examples), data.examples[0]
    lengths = sorted(len(e.tokens) for e in data.examples)
    trained = sum(e.trained_tokens for e in data.examples)
    stop = tokenizer.decode([first.tokens[first.trained.rindex(1)]])
    batch, micro = settings.global_batch_size, settings.micro_batch_size
    passes = batch // (micro * processes())
    return (
        f"rows     {data.counts(settings)}\n"
        f"lengths  {lengths[0]} to {lengths[-1]} tokens, median {lengths[rows // 2]}\n"
        f"trained  {trained} of {sum(lengths)} tokens; the first row ends with {stop!r}\n"
        f"steps    {settings.total_steps(rows)} of {batch} sequences = "
        f"{micro} sequences x {passes} forward passes x {processes()} processes"
    )
