"""OpenRLHF's offline trainers on a CPU: what its processes import before anything else. For tests.

Faked is what a machine without a GPU does not have, and nothing else: names of flash-attn (beside
this file), devices of torch.cuda, the device of one mesh, and kernels that DeepSpeed would compile.
It is done when `openrlhf` is first imported, so that other processes are as fast as they were.
"""

import sys
from typing import Any


class OnImport:
    """A finder that finds nothing: it only sees that OpenRLHF is about to be imported."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "openrlhf" and self in sys.meta_path:
            sys.meta_path.remove(self)
            devices()
            deepspeed()


def devices() -> None:
    import torch
    import torch.distributed.device_mesh as meshes

    stand_ins: dict[str, Any] = {
        "set_device": lambda _: None,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "current_device": lambda: "cpu",
    }
    for name, stand_in in stand_ins.items():
        setattr(torch.cuda, name, stand_in)
    made = meshes.init_device_mesh
    meshes.init_device_mesh = lambda _, *rest, **more: made("cpu", *rest, **more)


def deepspeed() -> None:
    """torch's AdamW and gloo, in place of what would be compiled for minutes."""
    import deepspeed as library
    import deepspeed.comm.torch as backend

    backend.build_shm_op = lambda: None
    begin = library.initialize

    def initialize(*given: Any, config: dict[str, Any], **more: Any) -> Any:
        optimizer = config.get("optimizer")
        if optimizer and optimizer["type"] == "AdamW":
            optimizer["params"]["torch_adam"] = True
        return begin(*given, config=config, **more)

    library.initialize = initialize


sys.meta_path.insert(0, OnImport())
