"""The config keys of the installed verl: its Hydra trees, with the types of its dataclasses."""

import dataclasses
import typing
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

from contracts.extraction import Json, choices_of, spelled
from contracts.verl import limits

TREES = {
    "ppo_trainer": ("ppo_trainer", ()),
    "ppo_trainer-megatron": ("ppo_trainer", ("model_engine=megatron",)),
    "sft_trainer_engine": ("sft_trainer_engine", ()),
    "sft_trainer_engine-megatron": (
        "sft_trainer_engine",
        ("engine=megatron", "optim=megatron"),
    ),
}
"""Name in the schema -> config of verl and groups chosen in it."""
MANDATORY = ("actor_rollout_ref.rollout.name", "actor_rollout_ref.model.path", "model.path")
"""Keys without a default, or with one that is a folder on its authors' machine."""
OPEN = "dict"
"""Type of a section that takes anything."""
HYDRA: dict[str, Json] = {
    "defaults": {"type": "list"},
    "hydra.searchpath": {"type": "list", "default": []},
}
LOOSE = ("data.enable_thinking_default",)
"""Keys whose default has another type than what is meant."""
OURS: dict[str, dict[str, Json]] = {
    "ppo_trainer": {
        "data.rows_with_tools": {"type": "str", "choices": ["refuse", "drop"], "default": "refuse"},
        "reward.reward_kwargs": {"type": OPEN, "default": {}},
        "reward.custom_reward_function.reward_kwargs": {"type": OPEN, "default": {}},
    }
}
"""What verl reads although its tree does not have it, and the one key of verl_data.py."""


def composed(name: str, overrides: tuple[str, ...] = ()) -> Any:
    from hydra import compose, initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose(name, overrides=list(overrides))


def extract() -> Json:
    """One class of keys for each tree."""
    from omegaconf import OmegaConf

    classes = {}
    for name, (root, groups) in TREES.items():
        tree = OmegaConf.to_container(composed(root, groups), resolve=False)
        keys = dict(_keys(typing.cast(Json, tree), "", None))
        for key, choices in _choices().items():
            if key in keys:
                keys[key]["choices"] = choices
        for key in LOOSE:
            if key in keys:
                keys[key]["type"] = "object"
        for key in MANDATORY:
            if key in keys:
                del keys[key]["default"]
        limits.add(name, keys)
        keys |= HYDRA | OURS.get(root, {})
        classes[name] = {"module": "verl.trainer.config", "inherits": [], "keys": keys}
    return {
        "framework": "verl",
        "version": version("verl"),
        "interpolates": True,
        "algorithms": {name: [name] for name in TREES},
        "classes": classes,
    }


def _choices() -> dict[str, list[str]]:
    """What verl's registries know, which it asks only when it is there."""
    from verl.experimental.agent_loop import agent_loop
    from verl.experimental.reward_loop.reward_manager.registry import REWARD_MANAGER
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY
    from verl.trainer.ppo.v1 import trainer_base  # noqa: F401 (registers the trainers)
    from verl.workers.rollout.base import _ROLLOUT_REGISTRY

    estimators = {str(getattr(each, "value", each)) for each in ADV_ESTIMATOR_REGISTRY}
    return {
        "algorithm.adv_estimator": sorted(estimators | {"gae"}),
        "actor_rollout_ref.actor.policy_loss.loss_mode": sorted(POLICY_LOSS_REGISTRY),
        "actor_rollout_ref.rollout.name": sorted({name for name, _ in _ROLLOUT_REGISTRY}),
        "actor_rollout_ref.rollout.mode": sorted({mode for _, mode in _ROLLOUT_REGISTRY}),
        "actor_rollout_ref.rollout.agent.default_agent_loop": sorted(
            agent_loop._agent_loop_registry
        ),
        "reward.reward_manager.name": sorted(REWARD_MANAGER),
        "trainer.v1.trainer_mode": ["sync", "colocate_async", "separate_async"],
        "trainer.resume_mode": ["auto", "disable", "resume_path"],
        "data.truncation": ["error", "left", "right"],
        "actor_rollout_ref.actor.loss_agg_mode": [
            "token-mean",
            "token-sum",
            "seq-mean-token-sum",
            "seq-mean-token-mean",
            "seq-mean-token-sum-norm",
        ],
    }


def _keys(section: Json, prefix: str, typed: Any) -> Iterator[tuple[str, Json]]:
    """Every key of a tree with dots between; `typed` is the dataclass of the section, if any."""
    typed = _dataclass(section["_target_"]) if "_target_" in section else typed
    hints = typing.get_type_hints(typed) if typed is not None else {}
    for name, value in section.items():
        hint = hints.get(name)
        if name == "_target_":
            continue
        if isinstance(value, dict) and value:
            inner = hint if dataclasses.is_dataclass(hint) else None
            yield from _keys(value, f"{prefix}{name}.", inner)
        else:
            yield f"{prefix}{name}", _key(value, hint)


def _key(raw: Any, hint: Any) -> Json:
    described: Json = {"type": _type(raw, hint)}
    if choices := choices_of(hint) if hint is not None else []:
        described["choices"] = choices
    # Mandatory keys of sections that are not used are none.
    described["default"] = None if raw == "???" else raw
    return described


def _type(raw: Any, hint: Any) -> str:
    """Of the dataclass, which the default may break: verl's own trees then have the last word."""
    if isinstance(raw, dict):
        return OPEN
    names = set(spelled(hint).split(" | ")) if hint is not None else set()
    names = {name for name in names if name not in {"Any", "MISSING"}}
    if (isinstance(raw, str) and raw.startswith("${")) or raw == "???":
        return " | ".join(sorted(names)) or "object"
    names.add(type(raw).__name__ if raw is not None else "None")
    if names == {"None"}:
        return "object"
    if "float" in names:
        names.discard("int")
    return " | ".join(sorted(names - {"NoneType"}, key=lambda name: (name == "None", name)))


def _dataclass(target: str) -> Any:
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    return found if dataclasses.is_dataclass(found) else None
