"""verl's SFT trainer on a CPU: a platform that verl does not bring. For tests, not for training.

python -m contracts.verl.cpu train_verl.py --data_path ... --config ...

verl asks its platform registry for the device; `cpu` is none of its own. The FSDP engine is there
for cuda alone, and init_process_group would name gloo twice.
"""

import contextlib
import os
import runpy
import sys
import types
from typing import Any

import torch

os.environ["VERL_PLATFORM"] = "cpu"

from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

NOTHING = {"max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved"}
OVERRIDES = (
    "trainer.device=cpu",
    "engine.dtype=float32",
    "engine.use_torch_compile=false",
    "model.use_remove_padding=false",
    "model.enable_gradient_checkpointing=false",
    "model.override_config.attn_implementation=eager",
    "data.num_workers=0",
)
"""What a machine without GPUs changes in a config."""


class Device(types.ModuleType):
    """In place of torch.cuda."""

    def __getattr__(self, name: str) -> Any:
        if name in NOTHING or name == "current_device":
            return lambda *_, **__: 0
        fixed = {
            "get_device_name": "cpu",
            "device_count": 1,
            "is_available": False,
            "mem_get_info": (1, 1),
        }
        if name in fixed:
            return lambda *_, **__: fixed[name]
        return getattr(torch.cpu, name, lambda *_, **__: None)


DEVICE = Device("cpu_device")


@PlatformRegistry.register(platform="cpu")
class Cpu(PlatformBase):  # type: ignore[misc]
    """All that verl asks of a platform."""

    device_name = vendor_name = property(lambda _: "cpu")
    device_module = property(lambda _: DEVICE)

    def current_device(self) -> Any:
        return torch.device("cpu")

    def get_device_capability(self, *_: Any) -> Any:
        return (None, None)

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def nvtx_range(self, *_: Any) -> Any:
        return contextlib.nullcontext()

    def get_device_uuid(self, *_: Any) -> str:
        return "cpu"

    def ray_resource_name(self) -> str:
        return "CPU"

    def ray_resource_options(self, count: float) -> Any:
        return {"num_cpus": count}

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def rollout_env_vars(self) -> Any:
        return {}


def _abstract_ones() -> None:
    """Of the rest, whatever it is, nothing happens."""
    answers: dict[str, Any] = {"is_available": True, "device_count": 1, "ray_noset_envvars": []}
    for name in Cpu.__abstractmethods__:
        answer = answers.get(name)
        setattr(Cpu, name, lambda *_, _answer=answer, **__: _answer)
    Cpu.__abstractmethods__ = frozenset()


def install() -> None:
    """Let verl train here."""
    import verl.workers.engine  # noqa: F401 (registers engines)
    from verl.workers.engine.base import EngineRegistry

    for engines in EngineRegistry._engines.values():
        for devices in engines.values():
            if "cuda" in devices:
                devices.setdefault("cpu", devices["cuda"])


_abstract_ones()
_begin = torch.distributed.init_process_group


def _with_gloo(backend: Any = None, **options: Any) -> Any:
    return _begin(backend="gloo" if backend == "cpu:gloo,cpu:gloo" else backend, **options)


torch.distributed.init_process_group = _with_gloo  # type: ignore[assignment]

if __name__ == "__main__":
    install()
    sys.argv = [*sys.argv[1:], *OVERRIDES]
    runpy.run_path(sys.argv[0], run_name="__main__")
