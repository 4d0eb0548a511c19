"""What the trainer's config says about the length of a row."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from ..errors import UserError


class Keys(msgspec.Struct, frozen=True):
    """Where a framework's config says it. A dot goes one level down."""

    limit: tuple[str, ...]
    """Tokens of a row; the first that is there counts."""
    model: tuple[str, ...]
    fate: str
    """What becomes of a longer row."""
    default: int | None = None
    """The limit where the config gives none."""
    choice: str = ""
    """The key that decides about the fate, where there is one."""


FRAMEWORKS = {
    "trl": Keys(
        ("max_length", "max_prompt_length"),
        ("model_name_or_path",),
        "cut",
        1024,
        choice="algorithm",
    ),
    "custom": Keys(("max_length",), ("model_name_or_path",), "dropped", choice="overlong"),
    "nemo_rl": Keys(
        ("policy.max_total_sequence_length",), ("policy.model_name",), "left out of the loss"
    ),
    "verl": Keys(
        ("data.max_length", "data.max_prompt_length"),
        ("model.path", "actor_rollout_ref.model.path"),
        "refused",
        1024,
        choice="data.truncation",
    ),
    "openrlhf": Keys(
        ("data.max_len",), ("model.model_name_or_path", "actor.model_name_or_path"), "cut"
    ),
}
FATES = {
    **{"drop": "dropped", "cut": "cut", "error": "refused", "left": "cut", "right": "cut"},
    **dict.fromkeys(("rm", "grpo", "rloo", "dapo", "gspo"), "left out"),
}
"""What the values of `choice` mean."""
SUFFIX = "_config"


class Trainer(msgspec.Struct):
    """Of a config, what this report needs."""

    config: str
    limit: int | None = None
    key: str = ""
    """By which the limit is set."""
    fate: str = ""
    model: str | None = None
    run: str | None = None
    """The name of the run."""


def trainer_of(path: Path) -> Trainer:
    """Read a trainer's config: `trl_config.yaml` is TRL's, other names are told by their keys.

    Raises:
        UserError: when it cannot be read.
    """
    remedy = "Give --config the config of a trainer."
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"Cannot read {path}: {error}.", remedy) from None
    if not isinstance(config, dict):
        raise UserError(f"{path} is no mapping of keys to values.", remedy)
    keys = _keys(path, config)
    run = _first(config, ("run_name",))[1]
    if keys is None:
        return Trainer(path.name, run=_text(run))
    key, limit = _first(config, keys.limit)
    limit = keys.default if limit is None else limit
    return Trainer(
        path.name,
        limit if isinstance(limit, int) and limit > 0 else None,
        key or keys.limit[0],
        FATES.get(str(_first(config, (keys.choice,))[1]), keys.fate),
        _text(_first(config, keys.model)[1]),
        _text(run),
    )


def _keys(path: Path, config: Any) -> Keys | None:
    named = FRAMEWORKS.get(path.stem.removesuffix(SUFFIX))
    if named:
        return named
    fitting = (keys for keys in FRAMEWORKS.values() if _first(config, keys.limit)[0])
    found = next(fitting, None)
    return found and msgspec.structs.replace(found, fate="cut or dropped")


def _first(config: Any, keys: tuple[str, ...]) -> tuple[str, Any]:
    """The first of these keys that is set, and its value."""
    found = ((key, _value(config, key)) for key in keys)
    return next(((key, value) for key, value in found if value is not None), ("", None))


def _value(config: Any, key: str) -> Any:
    """The value of a key, written with dots or as levels."""
    if key in config:
        return config[key]
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
