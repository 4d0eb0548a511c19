"""What would fail, or silently do nothing, once the GPUs are waiting."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import trl
from rl_rollouts.hub import loading
from rl_rollouts.models.after_prompt import AfterPrompt
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.rewards.checked import load_score
from rl_rollouts.rewards.trial import try_out
from rl_rollouts.survey.forecast import measured
from trl_data import rows_of
from trl_rewards import shown_tools
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
    with loading(name):
        tokenizer = AutoTokenizer.from_pretrained(
            name,
            revision=model.model_revision,
            trust_remote_code=training.trust_remote_code,
            **sides,
        )
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
    """See that there are rows with the right columns, of which something is learned.

    With check_only all rows are read and tokenised, and what TRL makes of them is printed.
    """
    paths = [Path(run.data_path), *_held_out(run, training)]
    if algorithm.online:
        check_online(run, paths[0], algorithm, say=training.process_index == 0)
    for path in reversed(paths):
        found = learn(run, training, tokenizer, algorithm, path, every=run.check_only)
        if run.check_only:
            print(f"{path}", *found.lines(), sep="\n")
        found.demand()
    if run.check_only:
        forecast = measured(trl, {**vars(training), **vars(run)}, found)
        print(*forecast.steps_in_words(), sep="\n")
        forecast.demand()


def _held_out(run: Any, training: Any) -> list[Path]:
    """The rows that are followed; where none was held out, training goes on without."""
    if training.eval_strategy == "no":
        return []
    if run.eval_data_path is None:
        raise UserError(
            "eval_strategy is set, and eval_data_path is not.",
            "Add `eval_data_path: training_data.eval.jsonl`.",
        )
    files = files_of(path := Path(run.eval_data_path))
    if not files or any(file.stat().st_size for file in files):
        return [path]
    remedy = "Prepare with a larger --eval_share."
    if training.load_best_model_at_end:
        raise UserError(f"load_best_model_at_end is set, and {path} is empty.", remedy)
    if training.process_index == 0:
        print(f"note: {path} is empty: nothing is followed while training. {remedy}")
    training.eval_strategy = type(training.eval_strategy)("no")
    return []


def learn(
    run: Any, training: Any, tokenizer: Any, algorithm: Algorithm, path: Path, *, every: bool
) -> Learned:
    """The rows of a file as TRL learns them: all, or up to the first of which something is."""
    found, rows = learned_by(run, training, tokenizer, algorithm), rows_of(path, algorithm.columns)
    environment = run.environment if algorithm.online else None
    shown = shown_tools(environment)
    for place, row in tqdm(rows, desc="tokenising", mininterval=1, disable=not every):
        if algorithm.online and row["tools"] and environment is None:
            found.skip("with tools")
            continue
        sides = [row[column] for column in algorithm.trained]
        found.add(place, row["prompt"], sides, shown if algorithm.online else row["tools"])
        if not every and (found.kept or found.refused):
            break
    return found


def learned_by(run: Any, training: Any, tokenizer: Any, algorithm: Algorithm) -> Learned:
    """How TRL makes sequences of rows: `_prepare_dataset` and the collator of each trainer."""
    if algorithm.online:
        limit = Limit("max_prompt_length", run.max_prompt_length, "dropped")
        asked = AfterPrompt(tokenizer, options=training.chat_template_kwargs)
        return Learned(asked, tokenizer, limit, what="prompts")
    judged = algorithm.config == "RewardConfig"
    packing = getattr(training, "packing", False)
    cut_at = training.max_length
    if packing and training.packing_strategy != "bfd":
        cut_at = None  # What is longer is split, and learned in parts.
    from_end = not packing and getattr(training, "truncation_mode", "") == "keep_end"
    limit = Limit(
        "max_length",
        cut_at,
        "dropped" if judged else "cut at the start" if from_end else "cut",
    )
    sequences = AfterPrompt(
        tokenizer,
        trl.chat_template(tokenizer, vars(training)),
        marked=getattr(training, "assistant_only_loss", False),
        whole=judged or getattr(training, "completion_only_loss", None) is False,
    )
    return Learned(sequences, tokenizer, limit, whole=judged)


def check_online(run: Any, path: Path, algorithm: Algorithm, *, say: bool) -> None:
    """The reward tells responses apart, and the model will see the tools that rows speak of."""
    said = try_out((row for _, row in rows_of(path, algorithm.columns)), load_score(run.rewards))
    if said and say:
        print(said)
    if run.environment is not None or run.rows_with_tools == "drop":
        return
    with_tools = sum(bool(row["tools"]) for _, row in rows_of(path, algorithm.columns))
    if with_tools:
        raise UserError(
            f"{with_tools} rows of {path} have tools, and TRL shows tools to the model only "
            "through an environment that runs them.",
            "Write one (see environment.py) and set `environment: environment:Shop`, or leave "
            "these rows out with `rows_with_tools: drop`.",
        )
