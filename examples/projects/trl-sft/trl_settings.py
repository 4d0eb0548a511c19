"""The settings of a run: TRL's own keys, a few of this script, and nothing that neither knows."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rl_rollouts.config import read_config, refuse, unknown
from rl_rollouts.errors import UserError


@dataclass
class Run:
    """What this script is told beside TRL's own keys."""

    algorithm: str = field(metadata={"help": "one of ALGORITHMS"})
    data_path: str = field(default="training_data.jsonl", metadata={"help": "rows to train on"})
    eval_data_path: str | None = field(
        default=None, metadata={"help": "held-out rows; only read when eval_strategy is not 'no'"}
    )
    check_only: bool = field(default=False, metadata={"help": "stop before the model is loaded"})
    padding_token: str | None = field(
        default=None,
        metadata={"help": "a token of the vocabulary that pads, where the tokenizer has none"},
    )


@dataclass
class OnlineRun(Run):
    """The same for algorithms that generate."""

    rewards: str = field(
        default="rewards:score", metadata={"help": "module:function that scores a response"}
    )
    environment: str | None = field(
        default=None, metadata={"help": "module:class with the tools, as in environment.py"}
    )
    eval_prompts: int = field(
        default=256, metadata={"help": "held-out prompts that are answered at an evaluation"}
    )
    max_prompt_length: int | None = field(
        default=None, metadata={"help": "tokens; rows with longer prompts are left out"}
    )
    rows_with_tools: str = field(
        default="refuse",
        metadata={
            "help": "without an environment TRL shows no tools to the model: refuse such rows, or "
            "drop them",
            "choices": ["refuse", "drop"],
        },
    )


class Algorithm(NamedTuple):
    """How TRL calls an algorithm, and the columns that it reads."""

    trainer: str
    config: str
    columns: tuple[str, ...]

    @property
    def online(self) -> bool:
        return "ground_truth" in self.columns

    @property
    def trained(self) -> tuple[str, ...]:
        """Columns with what the model is to write."""
        return tuple(each for each in self.columns if each in {"completion", "chosen", "rejected"})


PAIRS = ("prompt", "chosen", "rejected", "tools")
PROMPTS = ("task", "prompt", "tools", "ground_truth", "metadata")
ALGORITHMS = {
    "sft": Algorithm("SFTTrainer", "SFTConfig", ("prompt", "completion", "tools")),
    "dpo": Algorithm("DPOTrainer", "DPOConfig", PAIRS),
    "kto": Algorithm("KTOTrainer", "KTOConfig", ("prompt", "completion", "label", "tools")),
    "rm": Algorithm("RewardTrainer", "RewardConfig", PAIRS),
    "grpo": Algorithm("GRPOTrainer", "GRPOConfig", PROMPTS),
    "rloo": Algorithm("RLOOTrainer", "RLOOConfig", PROMPTS),
    # Variants of GRPO, by its loss_type and importance_sampling_level: see the config.
    "dapo": Algorithm("GRPOTrainer", "GRPOConfig", PROMPTS),
    "gspo": Algorithm("GRPOTrainer", "GRPOConfig", PROMPTS),
}


def algorithm_of(name: str) -> Algorithm:
    if name not in ALGORITHMS:
        raise UserError(
            f"The config's algorithm is {name!r}.", f"It can be {', '.join(ALGORITHMS)}."
        )
    return ALGORITHMS[name]


def classes_of(name: str) -> tuple[type, ...]:
    """The dataclasses whose fields are the keys of an algorithm's config."""
    import trl

    algorithm = algorithm_of(name)
    ours = OnlineRun if algorithm.online else Run
    return ours, getattr(trl, algorithm.config), trl.ModelConfig


def parse(arguments: list[str]) -> tuple[Any, Any, Any]:
    """Config file and command line through TRL's own parser; unknown keys are refused.

    Returns:
        The `Run`, TRL's config, and TRL's `ModelConfig`.
    """
    arguments = [part for word in arguments for part in _split_option(word)]
    path = _given(arguments, "--config")
    if path is None:
        raise UserError("There is no --config.", "Give --config trl_config.yaml.")
    config = read_config(Path(path))
    name = _given(arguments, "--algorithm") or config.values.get("algorithm")
    classes = classes_of(str(name))
    from trl import TrlParser

    _refuse_unknown(config.places, arguments, classes)
    if "--check_only" in arguments and not _cuda():
        arguments = [*arguments, "--use_cpu", "True"]
    parser = TrlParser(classes)
    parser.error = _not_accepted
    try:
        run, training, model = parser.parse_args_and_config(arguments)
    except UserError:
        raise
    except Exception as error:  # Its classes calculate with whatever they are given.
        said = f"{type(error).__name__}: {error}"
        raise UserError(f"TRL does not accept {path}: {said}", "Change the value.") from None
    if not model.model_name_or_path:
        raise UserError(f"{path} has no model_name_or_path.", "Add it.")
    # TRL calculates one where there is none, for the processes that there are: a check is alone.
    batch = _given(arguments, "--generation_batch_size") or config.values.get(
        "generation_batch_size"
    )
    run.generation_batch_size = batch and int(batch)
    return run, training, model


def _split_option(word: str) -> list[str]:
    """`--key=value` as two words, which is how everything here reads them."""
    return word.split("=", 1) if word.startswith("--") and "=" in word else [word]


def _given(arguments: Sequence[str], flag: str) -> str | None:
    """The word after a flag."""
    return arguments[arguments.index(flag) + 1] if flag in arguments[:-1] else None


def _refuse_unknown(
    places: Mapping[str, str], arguments: Sequence[str], classes: Iterable[Any]
) -> None:
    """Run directly, TRL ignores keys that it does not know; a typo would train with defaults."""
    keys = {each.name for class_ in classes for each in dataclasses.fields(class_)}
    flags = [word[2:].replace("-", "_") for word in arguments if word.startswith("--")]
    options = {flag for flag in flags if flag != "config" and flag.removeprefix("no_") not in keys}
    wrong = {key: place for key, place in places.items() if key not in keys | {"env"}}
    wrong |= dict.fromkeys(sorted(options - keys), "the command line")
    if wrong:
        raise refuse([f"{place}: {unknown(key, keys)}" for key, place in wrong.items()])


def _not_accepted(message: str) -> NoReturn:
    raise UserError(f"TRL does not accept a value: {message}", "Change it.")


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
