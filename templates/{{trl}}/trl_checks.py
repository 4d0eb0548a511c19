"""What would fail, or silently do nothing, once the GPUs are waiting."""

import dataclasses
import difflib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from dataprep.errors import UserError
from dataprep.write import files_of

Config = dict[str, Any]


def split_option(word: str) -> list[str]:
    """`--key=value` as two words, which is how everything here reads them."""
    return word.split("=", 1) if word.startswith("--") and "=" in word else [word]


def peek(arguments: Sequence[str]) -> tuple[Path, str]:
    """The config file and the algorithm, read before TRL's parser reads them."""
    name = _given(arguments, "--config")
    if name is None:
        raise UserError("There is no --config.", "Give --config trl_config.yaml.")
    path = Path(name)
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Give a YAML file.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no `key: value` lines.", "Give a YAML file.")
    return path, str(_given(arguments, "--algorithm") or config.get("algorithm"))


def _given(arguments: Sequence[str], flag: str) -> str | None:
    """The word after a flag."""
    return arguments[arguments.index(flag) + 1] if flag in arguments[:-1] else None


def refuse_unknown(path: Path, arguments: Sequence[str], classes: Iterable[Any]) -> None:
    """Run directly, TRL ignores keys that it does not know; a typo would train with defaults."""
    known = {field.name for each in classes for field in dataclasses.fields(each)}
    flags = [word[2:] for word in arguments if word.startswith("--")]
    problems = [
        f"{path}:{line}: no such key: {key}{_hint(key, known)}"
        for key, line in _keys(path)
        if key not in known | {"env"}
    ]
    problems += [
        f"no such option: --{flag}{_hint(flag, known)}"
        for flag in flags
        if flag.replace("-", "_") not in known | {"config"} and not _negation(flag, known)
    ]
    if problems:
        raise UserError("\n  ".join(["TRL does not know:", *problems]), "Nothing was trained.")


def _negation(flag: str, known: set[str]) -> bool:
    return flag.startswith("no_") and flag[3:] in known


def _hint(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _keys(path: Path) -> list[tuple[str, int]]:
    """Keys as they are written, each with its line."""
    root: Any = yaml.compose(path.read_text("utf-8"))
    return [(str(node.value), node.start_mark.line + 1) for node, _ in root.value]


def check_output(output: Path, resume: str | None) -> str | None:
    """The checkpoint to go on from; a finished or begun run is never overwritten."""
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(output)) if output.is_dir() else None
    if resume == "latest":
        return last
    if resume is None and (last or (output / "final").exists()):
        raise UserError(
            f"{output} already holds a run.",
            "Go on with --resume_from_checkpoint latest, or choose another --output_dir.",
        )
    if resume is not None and not Path(resume).is_dir():
        raise UserError(
            f"There is no checkpoint {resume}.", "Give --resume_from_checkpoint a folder or latest."
        )
    return resume


def check_data(run: Any, training: Any, model: Any, columns: Sequence[str]) -> None:
    """See that the rows have the right columns: of the first, or with --check_only of all.

    With --check_only the training rows are tokenised too, and what the trainer will cut is printed.
    """
    paths = [Path(run.data_path)]
    if training.eval_strategy != "no":
        if run.eval_data_path is None:
            raise UserError(
                "eval_strategy is set, and eval_data_path is not.",
                "Add `eval_data_path: training_data.eval.jsonl`.",
            )
        paths.append(Path(run.eval_data_path))
    for path in paths:
        rows = rows_of(path, columns)
        next(rows)
        if run.check_only:
            deque(rows, maxlen=0)
    if run.check_only:
        _check_lengths(rows_of(paths[0], columns), training, model, columns)


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[Config]:
    """The rows of a prepared file, one at a time; it has at least one, with these columns."""
    files = files_of(path)
    if not files:
        raise UserError(f"{path} is not there.", "Run prepare_for_trl.py first (make prepare).")
    empty = True
    for file in files:
        for row in _rows_of_file(file, columns):
            empty = False
            yield row
    if empty:
        raise UserError(f"{path} is empty.", "See the table that prepare_for_trl.py printed.")


def _rows_of_file(path: Path, columns: Sequence[str]) -> Iterator[Config]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                missing = [column for column in columns if column not in row]
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}:{number}: {error}", "Prepare the data again.") from None
            if missing:
                raise UserError(
                    f"{path}:{number}: no column {', '.join(missing)}; this algorithm reads "
                    f"{', '.join(columns)}.",
                    "Prepare the data with the config of this run.",
                )
            yield row


def _check_lengths(
    rows: Iterable[Config], training: Any, model: Any, columns: Sequence[str]
) -> None:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model.model_name_or_path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"Cannot load the tokenizer of {model.model_name_or_path}: {error}",
            "Give a Hugging Face id that you may read, or a local folder.",
        ) from None
    _check_template(tokenizer, training)
    answers = [column for column in columns if column not in ("prompt", "tools")]
    lengths, starved = [], 0
    for row in tqdm(rows, desc="tokenising", mininterval=1):
        prompt = _tokens(tokenizer, row["prompt"], row["tools"], add_generation_prompt=True)
        whole = [_tokens(tokenizer, row["prompt"] + row[c], row["tools"]) for c in answers]
        lengths.append(max(whole))
        starved += bool(training.max_length and prompt >= training.max_length)
    _report_lengths(sorted(lengths), starved, training.max_length)


def _check_template(tokenizer: Any, training: Any) -> None:
    if not getattr(training, "assistant_only_loss", False):
        return
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(tokenizer.chat_template or ""):
        return
    try:
        get_training_chat_template(tokenizer)
    except ValueError as error:
        raise UserError(
            f"This model's chat template cannot mark the model's own words: {error}",
            "Set assistant_only_loss: false. Then everything after the prompt is trained, tool "
            "results included; filter out rollouts with tools.",
        ) from None


def _tokens(tokenizer: Any, messages: Any, tools: Any, **options: Any) -> int:
    encoded = tokenizer.apply_chat_template(messages, tools=tools, return_dict=True, **options)
    return len(encoded["input_ids"])


def _report_lengths(lengths: Sequence[int], starved: int, limit: int | None) -> None:
    count = len(lengths)
    middle, high = lengths[count // 2], lengths[min(count - 1, count * 95 // 100)]
    print(f"{count} rows; tokens: median {middle}, 95 % {high}, longest {lengths[-1]}")
    cut = sum(length > limit for length in lengths) if limit else 0
    if starved == count:
        raise UserError(
            f"In all {count} rows the prompt alone fills max_length = {limit}.",
            f"Set max_length to {lengths[-1]} or more.",
        )
    if cut:
        print(f"{cut} rows are longer than max_length = {limit} and will be cut at the end;")
        print(f"of these, {starved} have nothing left to train on and will be dropped.")
