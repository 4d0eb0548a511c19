"""The settings of a run: verl's own Hydra tree, with what the config and the command line change.

Everything is checked against that tree, also where verl itself would take any key: one that it does
not have is refused with the nearest that it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prepare_for_verl import KINDS, root_of
from rl_rollouts.config import read_config, refuse, unknown
from rl_rollouts.engine.write import beside, files_of
from rl_rollouts.errors import UserError

OURS = {"data.rows_with_tools": "refuse"}
"""Keys that verl does not have: verl_data.py reads them."""
HYDRA = ("defaults", "hydra")
"""Keys of Hydra itself."""
OPEN = ("reward.reward_kwargs", "reward.custom_reward_function.reward_kwargs")
"""Sections that verl reads and its tree does not have; what stands in them goes on to functions."""
PATHS = ("data.custom_cls.path", "reward.custom_reward_function.path", "trainer.default_local_dir")
UNSET = "~/data/rlhf/gsm8k/test.parquet"
"""What stands in verl's tree where nothing was chosen."""
PROJECT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Settings:
    """What a run is to do."""

    config: Any
    """The whole tree, as verl takes it (an OmegaConf DictConfig)."""
    root: str
    """The config of verl that it began with, of `KINDS`."""

    @property
    def online(self) -> bool:
        return KINDS[self.root] == "prompts"

    @property
    def model(self) -> Any:
        """The section with the model that is trained."""
        return self.config.actor_rollout_ref.model if self.online else self.config.model

    @property
    def output(self) -> Path:
        """The run's folder."""
        return Path(self.config.trainer.default_local_dir)

    @property
    def max_length(self) -> int:
        """Tokens of a row, or of a prompt."""
        data = self.config.data
        return int(data.max_prompt_length if self.online else data.max_length)


def read(path: Path, data: Path, overrides: Sequence[str] = ()) -> Settings:
    """Compose a config with verl's tree.

    Args:
        data: the training rows; their held-out ones are expected beside them.
        overrides: as Hydra has them, `trainer.total_epochs=2`.

    Raises:
        UserError: when the file is no such config, or has a key that verl does not.
    """
    written = read_config(path)
    root, groups = _defaults(path, written.values)
    tree = _composed(f"verl's {root}", root, groups)
    _complete(tree)
    given = dict.fromkeys((each.partition("=")[0] for each in overrides), "the command line")
    _refuse_unknown(tree, {**written.leaves, **given})
    config = _merged(path, tree, written.values, overrides)
    _place(config, root, data)
    return Settings(config, root)


def _defaults(path: Path, written: dict[str, Any]) -> tuple[str, list[str]]:
    """verl's config at the root, and the groups that are chosen in it."""
    listed = written.pop("defaults", None)
    written.pop("hydra", None)
    root = root_of(listed)
    if root is None:
        raise UserError(
            f"`defaults` in {path} names none of {', '.join(KINDS)}.",
            "Begin it with `defaults: [ppo_trainer, _self_]`, or sft_trainer_engine for sft.",
        )
    groups = [
        f"{name.removeprefix('override ')}={value}"
        for each in listed
        if isinstance(each, dict)
        for name, value in each.items()
    ]
    return root, groups


def _composed(what: str, name: str, overrides: Sequence[str]) -> Any:
    try:
        from hydra import compose, initialize_config_module
        from hydra.errors import HydraException
    except ImportError as error:
        raise UserError(
            f"verl is not installed here: {error}.",
            "Run `make install`, or work in the container (see README.md).",
        ) from None
    try:
        with initialize_config_module("verl.trainer.config", version_base=None):
            return compose(name, overrides=list(overrides))
    except HydraException as error:
        said = " ".join(str(error).split())
        raise UserError(f"Hydra cannot compose {what}: {said}", "Mend the config.") from None


def _complete(tree: Any) -> None:
    """Add what verl and verl_data.py read although the tree does not have it."""
    from omegaconf import OmegaConf

    if "reward" in tree:
        for key, value in (*OURS.items(), *((name, {}) for name in OPEN)):
            OmegaConf.update(tree, key, value, force_add=True)


def _refuse_unknown(tree: Any, places: Mapping[str, str]) -> None:
    """See that the tree has all keys, or leaves open what stands in their section."""
    from omegaconf import OmegaConf

    sections = OmegaConf.to_container(tree, resolve=False)
    known = list(_names(sections))
    wrong = [
        f"{place}: {unknown(key, known)}"
        for key, place in places.items()
        if key.partition(".")[0] not in HYDRA and not _has(sections, key)
    ]
    if wrong:
        raise refuse(wrong)


def _names(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _has(tree: Any, key: str) -> bool:
    for name in key.split("."):
        if tree == {}:
            return True  # An empty section of the tree takes anything.
        if not isinstance(tree, dict) or name not in tree:
            return False
        tree = tree[name]
    return True


def _merged(path: Path, tree: Any, written: dict[str, Any], overrides: Sequence[str]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        OmegaConf.set_struct(tree, False)
        config = OmegaConf.merge(tree, written, OmegaConf.from_dotlist(list(overrides)))
        OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        said = str(error).strip().splitlines()[0]
        raise UserError(f"{path} does not fit verl's tree: {said}", "Mend that key.") from None
    OmegaConf.set_struct(config, True)
    return config


def _place(config: Any, root: str, data: Path) -> None:
    """Absolute paths, since the processes that Ray starts stand elsewhere; and the rows."""
    from omegaconf import OmegaConf

    rows = data.resolve()
    config.data.train_files = [str(file) for file in files_of(rows)]
    given, online = config.data.val_files, KINDS[root] == "prompts"
    if given is None or given == UNSET:
        # The online trainer wants a file also when it never validates.
        beside_them = files_of(beside(rows, f".eval{rows.suffix}"))
        held_out = [str(file) for file in beside_them if file.stat().st_size]
        config.data.val_files = (held_out or config.data.train_files) if online else None
        if online and not held_out and config.trainer.test_freq > 0:
            print("note: no prompt was held out: nothing is followed while training.")
            config.trainer.test_freq = -1
    elif isinstance(given, str):
        config.data.val_files = str(Path(given).expanduser().resolve())
    for key in PATHS:
        value = OmegaConf.select(config, key)
        if value:
            OmegaConf.update(config, key, str((PROJECT / Path(value).expanduser()).resolve()))
    section = config.actor_rollout_ref.model if KINDS[root] == "prompts" else config.model
    if (PROJECT / section.path).is_dir():
        section.path = str((PROJECT / section.path).resolve())
