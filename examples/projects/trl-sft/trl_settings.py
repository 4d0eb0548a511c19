"""The settings of a run: TRL's own keys, a few of this script, and nothing that neither knows."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from dataprep.errors import UserError

Config = dict[str, Any]


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
    path, name = _peek(arguments)
    classes = classes_of(name)
    from trl import TrlParser

    _refuse_unknown(path, arguments, classes)
    if "--check_only" in arguments and not _cuda():
        arguments = [*arguments, "--use_cpu", "True"]
    parser = TrlParser(classes)
    parser.error = _refuse
    try:
        run, training, model = parser.parse_args_and_config(arguments)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"TRL does not accept {path}: {error}", "Change the value.") from None
    return run, training, model


def _split_option(word: str) -> list[str]:
    """`--key=value` as two words, which is how everything here reads them."""
    return word.split("=", 1) if word.startswith("--") and "=" in word else [word]


def _peek(arguments: Sequence[str]) -> tuple[Path, str]:
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


def _refuse_unknown(path: Path, arguments: Sequence[str], classes: Iterable[Any]) -> None:
    """Run directly, TRL ignores keys that it does not know; a typo would train with defaults."""
    known = {each.name for class_ in classes for each in dataclasses.fields(class_)}
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


def _refuse(message: str) -> NoReturn:
    raise UserError(f"TRL does not accept a value: {message}", "Change it.")


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
