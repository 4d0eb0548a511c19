"""What would fail, or silently do nothing, once the GPUs are waiting."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rl_rollouts.errors import UserError
from rl_rollouts.rewards.checked import load_score
from trl_data import Row, demand_enough, prompt_tokens, rows_of, tokens
from trl_rewards import load_environment, reward_function
from trl_settings import Algorithm

PADDING = ("pad", "reserved", "unused", "unk")
"""What tokens are called that no text holds."""


def load_tokenizer(run: Any, training: Any, model: Any, algorithm: Algorithm) -> Any:
    """The tokenizer as the trainer wants it, with a padding token that is not the end of a text.

    Padded with the end of the text, a reward model scores the wrong token, and what is masked as
    padding takes the end of each response with it: the model never learns to stop.
    """
    from transformers import AutoTokenizer

    name = model.model_name_or_path
    sides = {"padding_side": "left", "truncation_side": "left"} if algorithm.online else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name,
            revision=model.model_revision,
            trust_remote_code=training.trust_remote_code,
            **sides,
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"Cannot load the tokenizer of {name}: {error}",
            "Give a Hugging Face id that you may read, or a local folder.",
        ) from None
    if tokenizer.chat_template is None:
        raise UserError(
            f"The tokenizer of {name} has no chat template.",
            "Take the instruction-tuned model, or put a chat_template.jinja into its folder.",
        )
    _set_padding(run, training, tokenizer)
    return tokenizer


def _set_padding(run: Any, training: Any, tokenizer: Any) -> None:
    vocabulary = tokenizer.get_vocab()
    wanted = run.padding_token or getattr(training, "pad_token", None)
    if wanted is not None and wanted not in vocabulary:
        raise UserError(
            f"padding_token {wanted!r} is not in the vocabulary.", _advice(tokenizer, vocabulary)
        )
    if wanted is not None:
        tokenizer.pad_token = wanted
    if tokenizer.pad_token in {None, tokenizer.eos_token}:
        raise UserError(
            f"The tokenizer pads with {tokenizer.pad_token or 'nothing, so TRL would pad with'} "
            f"{tokenizer.eos_token}, which ends a text: the model could not learn to stop.",
            _advice(tokenizer, vocabulary),
        )


def _advice(tokenizer: Any, vocabulary: Iterable[str]) -> str:
    special = [word for word in tokenizer.get_added_vocab() if word != tokenizer.eos_token]
    candidates = sorted(special, key=lambda word: not _is_padding(word)) or [
        word for word in vocabulary if _is_padding(word)
    ]
    example = candidates[0] if candidates else "a token that no text holds"
    return f'Add `padding_token: "{example}"` to the config.'


def _is_padding(word: str) -> bool:
    return any(part in word.lower() for part in PADDING)


def check_data(run: Any, training: Any, tokenizer: Any, algorithm: Algorithm) -> None:
    """See that there are rows with the right columns, of which at least one is short enough.

    With check_only all rows are read and tokenised, and what the trainer will cut is printed.
    """
    paths = [Path(run.data_path)]
    if training.eval_strategy != "no":
        if run.eval_data_path is None:
            raise UserError(
                "eval_strategy is set, and eval_data_path is not.",
                "Add `eval_data_path: training_data.eval.jsonl`.",
            )
        paths.append(Path(run.eval_data_path))
    for path in reversed(paths):
        rows = rows_of(path, algorithm.columns)
        first = next(rows)
        if run.check_only:
            for _ in rows:
                pass
    if algorithm.online:
        _check_online(run, paths[0], first, algorithm)
    _check_template(tokenizer, training)
    measured = _measured(rows_of(paths[0], algorithm.columns), run, tokenizer, algorithm)
    limit = run.max_prompt_length if algorithm.online else training.max_length
    if run.check_only:
        lengths = list(tqdm(measured, desc="tokenising", mininterval=1))
        _report(lengths, limit, algorithm)
        if algorithm.online:
            demand_enough(sum(not _starves(each, limit, algorithm) for each in lengths), training)
    elif limit and all(_starves(each, limit, algorithm) for each in measured):
        raise _nothing_fits(limit, algorithm)


def _check_online(run: Any, path: Path, first: Row, algorithm: Algorithm) -> None:
    """The reward function answers, and the model will see the tools that the rows speak of."""
    score = reward_function(load_score(run.rewards))
    score([first["prompt"]], [""], [first["ground_truth"]], [first["metadata"]])
    if run.environment is not None:
        load_environment(run.environment)
    if run.environment is not None or run.rows_with_tools == "drop":
        return
    with_tools = sum(bool(row["tools"]) for row in rows_of(path, algorithm.columns))
    if with_tools:
        raise UserError(
            f"{with_tools} rows of {path} have tools, and TRL shows tools to the model only "
            "through an environment that runs them.",
            "Write one (see environment.py) and set `environment: environment:Shop`, or leave "
            "these rows out with `rows_with_tools: drop`.",
        )


def _check_template(tokenizer: Any, training: Any) -> None:
    if not getattr(training, "assistant_only_loss", False):
        return
    from trl.chat_template_utils import get_training_chat_template

    try:
        get_training_chat_template(tokenizer)
    except ValueError as error:
        raise UserError(
            f"This model's chat template cannot mark the model's own words: {error}",
            "Set assistant_only_loss: false and prepare the data again: each turn of the model "
            "becomes a row of its own, and the loss falls on nothing else.",
        ) from None


Length = tuple[int, int]
"""Tokens of a row's prompt, and of the whole row."""


def _measured(
    rows: Iterable[Row], run: Any, tokenizer: Any, algorithm: Algorithm
) -> Iterator[Length]:
    skipped = algorithm.online and run.environment is None
    for row in rows:
        if skipped and row["tools"]:
            continue
        prompt = prompt_tokens(tokenizer, row)
        wholes = [
            tokens(tokenizer, row["prompt"] + row[c], row["tools"]) for c in algorithm.trained
        ]
        yield prompt, max([prompt, *wholes])


def _starves(length: Length, limit: int | None, algorithm: Algorithm) -> bool:
    """Whether nothing is left of a row to train on."""
    if not limit:
        return False
    prompt, whole = length
    if algorithm.online:
        return prompt > limit
    return whole > limit if algorithm.config == "RewardConfig" else prompt >= limit


def _report(lengths: Sequence[Length], limit: int | None, algorithm: Algorithm) -> None:
    if not lengths:
        raise UserError("All rows have tools, and are dropped.", "Write an environment for them.")
    sizes = sorted(prompt if algorithm.online else whole for prompt, whole in lengths)
    count = len(sizes)
    middle, high = sizes[count // 2], sizes[min(count - 1, count * 95 // 100)]
    what = "prompts" if algorithm.online else "rows"
    print(f"{count} {what}; tokens: median {middle}, 95 % {high}, longest {sizes[-1]}")
    over = sum(size > limit for size in sizes) if limit else 0
    starved = sum(_starves(each, limit, algorithm) for each in lengths)
    if starved == count:
        raise _nothing_fits(limit, algorithm)
    if algorithm.online or algorithm.config == "RewardConfig":
        if starved:
            print(f"{starved} of them are longer than {limit} and will be left out.")
    elif over:
        print(f"{over} rows are longer than max_length = {limit} and will be cut at the end;")
        print(f"of these, {starved} have nothing left to train on and will be dropped.")


def _nothing_fits(limit: int | None, algorithm: Algorithm) -> UserError:
    key = "max_prompt_length" if algorithm.online else "max_length"
    whole = algorithm.online or algorithm.config == "RewardConfig"
    problem = f"All rows are longer than {key} = {limit}"
    if not whole:
        problem = f"In all rows the prompt alone fills {key} = {limit}"
    return UserError(f"{problem}: nothing would be trained.", f"Raise {key}.")
