"""What the trainer's config says about the length of a row."""

from pathlib import Path
from typing import Any

import msgspec

from ..config import read_yaml
from ..errors import UserError
from ..frameworks import ConfigKeys, known, value_of

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
    framework: str = ""
    """Of the config, where that is known by its name."""
    settings: dict[str, Any] = {}
    """All that the config says."""

    def template(self, tokenizer: Any) -> str | None:
        """The chat template that it takes in place of the tokenizer's.

        Raises:
            UserError: when it cannot be looked at here.
        """
        own = getattr(known().get(self.framework), "chat_template", None)
        try:
            return own(tokenizer, self.settings) if own else None
        except ImportError as error:
            raise UserError(f"{error.name} is not installed here", "Run `make install`.") from None


def trainer_of(path: Path) -> Trainer:
    """Read a trainer's config: `<framework>_config.yaml` is that one's, others are told by their
    keys.

    Raises:
        UserError: when it cannot be read.
    """
    remedy = "Give --config the config of a trainer."
    config = read_yaml(path, remedy)
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
        keys.fates.get(str(_first(config, (keys.choice,))[1]), keys.fate),
        _text(_first(config, keys.model)[1]),
        _text(run),
        path.stem.removesuffix(SUFFIX),
        config,
    )


def _keys(path: Path, config: Any) -> ConfigKeys | None:
    every: dict[str, ConfigKeys] = {
        name: module.CONFIG for name, module in known().items() if hasattr(module, "CONFIG")
    }
    named = every.get(path.stem.removesuffix(SUFFIX))
    if named:
        return named
    fitting = (keys for keys in every.values() if _first(config, keys.limit)[0])
    found = next(fitting, None)
    return found and found._replace(fate="cut or dropped")


def _first(config: Any, keys: tuple[str, ...]) -> tuple[str, Any]:
    """The first of these keys that is set, and its value."""
    found = ((key, value_of(config, key)) for key in keys)
    return next(((key, value) for key, value in found if value is not None), ("", None))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
