"""What Accelerate's launcher takes from its config file: top-level keys, and options by section."""

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.extraction import Json, spelled

FILE = "accelerate_config.yaml"
PREFIXES = {
    "fsdp_config": "fsdp_",
    "dynamo_config": "dynamo_",
    "fp8_config": "fp8_",
    "megatron_lm_config": "megatron_lm_",
    "parallelism_config": "parallelism_config_",
    "mpirun_config": "mpirun_",
}
"""Sections and how the options of `accelerate launch` for them begin."""
BARE = ("fsdp_config", "dynamo_config", "fp8_config")
"""Sections whose keys may be without that beginning (`_validate_launch_command`)."""
OLD = {"fp16": {"type": "bool | None"}, "dynamo_backend": {"type": "str | None"}}
"""Keys of older files that it still reads (`BaseConfig.process_config`)."""
MORE = {"fsdp_config.fsdp_ignored_modules": {"type": "str | None", "default": None}}
"""Read without being an option (`prepare_multi_gpu_env`)."""
AUTO = ("gradient_accumulation_steps", "gradient_clipping")
"""Options that DeepSpeed may settle itself (`DeepSpeedPlugin.__post_init__`)."""
LIMITS = {
    "num_processes": {"gt": 0},
    "num_machines": {"gt": 0},
    "gpu_ids": {"min_length": 1},
    "machine_rank": {"ge": 0},
    "main_process_port": {"ge": 0, "le": 65535},
    "deepspeed_config.zero_stage": {"ge": 0, "le": 3},
    "deepspeed_config.gradient_clipping": {"ge": 0},
    "fsdp_config.fsdp_min_num_params": {"ge": 0},
}


def classes() -> dict[str, Json]:
    """The two kinds of keys: those that stay what YAML makes of them, and those that become text
    in the environment of each process."""
    return {
        "ClusterConfig": {
            "module": "accelerate.commands.config.config_args",
            "inherits": [],
            "reads": "yaml",
            "keys": _limited(dict(_fields())),
        },
        "LaunchOptions": {
            "module": "accelerate.commands.launch",
            "inherits": [],
            "reads": "text",
            "keys": _limited(dict(_options())),
        },
    }


def _limited(keys: dict[str, Json]) -> dict[str, Json]:
    return {name: {**key, **LIMITS.get(name, {}), **_choices(name)} for name, key in keys.items()}


def _fields() -> Iterator[tuple[str, Json]]:
    """Keys of the top level, which the dataclass of a cluster declares."""
    import dataclasses
    import typing

    from accelerate.commands.config.config_args import ClusterConfig

    hints = typing.get_type_hints(ClusterConfig)
    for field in dataclasses.fields(ClusterConfig):
        described: Json = {"type": spelled(hints[field.name])}
        if field.name != "distributed_type":
            missing = field.default is dataclasses.MISSING
            described["default"] = None if missing else field.default
            described["type"] += " | None" if described["default"] is None else ""
            described["type"] = described["type"].replace("None | None", "None")
        if field.name == "num_processes":
            described["default"] = 1  # -1 stands for what has to be given, unless there is one.
        yield field.name, described
    yield from ((name, {**key, "default": None}) for name, key in OLD.items())


def _options() -> Iterator[tuple[str, Json]]:
    """Keys of the sections, which are options of the launcher."""
    from accelerate.commands.launch import launch_command_parser

    parser = launch_command_parser()
    for group in parser._action_groups:
        for action in group._group_actions:
            for section, beginning in PREFIXES.items():
                if action.dest.startswith(beginning):
                    name = action.dest.removeprefix(beginning)
                    names = {action.dest, name} if section in BARE else {action.dest}
                    yield from ((f"{section}.{each}", _option(action)) for each in sorted(names))
            if group.title == "DeepSpeed Arguments":
                yield f"deepspeed_config.{action.dest}", _option(action)
    yield from MORE.items()


def _option(action: Any) -> Json:
    words = str(action.help)
    kind = getattr(action.type, "__name__", "bool" if action.const is True else "str")
    truth = "(true|false)" in words or action.default in {"true", "false"} or kind == "str_to_bool"
    described: Json = {"type": "bool" if truth else kind if kind in {"int", "float"} else "str"}
    if action.const is True:
        described["type"] = "bool"
    if action.choices:
        described["choices"] = list(action.choices)
    default = action.default
    # A tuple is what becomes of text with commas.
    described["default"] = ",".join(map(str, default)) if isinstance(default, tuple) else default
    if action.dest in AUTO:
        described["type"] += " | auto"
    if default is None:
        described["type"] += " | None"
    return described


def _choices(name: str) -> Mapping[str, Any]:
    from accelerate.utils import DistributedType, PrecisionType
    from accelerate.utils import constants as known
    from accelerate.utils.dataclasses import DynamoBackend
    from torch.distributed.elastic.rendezvous import registry
    from torch.distributed.elastic.rendezvous.api import rendezvous_handler_registry

    if name == "rdzv_backend":
        registry._register_default_handlers()
        return {"choices": sorted({"static", *rendezvous_handler_registry._registry})}
    precisions = list(PrecisionType.list())
    sharding = list(known.FSDP_SHARDING_STRATEGY)
    devices = ["none", "cpu", "nvme"]
    found: dict[str, list[Any]] = {
        "compute_environment": ["LOCAL_MACHINE"],
        # Without quotes YAML reads NO as false, which Accelerate takes as well.
        "distributed_type": [*(each.value for each in DistributedType), False],
        "mixed_precision": [*precisions, *(each.upper() for each in precisions)],
        "fsdp_auto_wrap_policy": list(known.FSDP_AUTO_WRAP_POLICY),
        "fsdp_backward_prefetch": list(known.FSDP_BACKWARD_PREFETCH),
        "fsdp_state_dict_type": list(known.FSDP_STATE_DICT_TYPE),
        "fsdp_sharding_strategy": sharding,
        "fsdp_reshard_after_forward": ["true", "false", *sharding],
        "dynamo_backend": list(DynamoBackend.list()),
        "deepspeed_multinode_launcher": [*known.DEEPSPEED_MULTINODE_LAUNCHERS],
        "offload_optimizer_device": devices,
        "offload_param_device": devices,
    }
    section, _, key = name.rpartition(".")
    for each in (key, PREFIXES.get(section, "") + key):
        if each in found:
            types = {"type": "str | bool"} if each == "distributed_type" else {}
            return {"choices": found[each], **types}
    return {}
