"""The processes, and the model on them: whole in one process, sharded with FSDP2 over several."""

import os
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoConfig, AutoModelForCausalLM

from custom_settings import Settings


class World(NamedTuple):
    """This process among all of the run."""

    rank: int
    size: int
    device: torch.device

    @property
    def main(self) -> bool:
        return self.rank == 0

    def leave(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    def wait(self) -> None:
        """Return when all processes are here."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """Join the process group that torchrun describes in the environment, if there is one."""
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    return World(rank, size, device)


def load_model(settings: Settings, world: World) -> Any:
    """The model with float32 weights, in training mode, on the devices of all processes."""
    name = settings.model_name_or_path
    if world.main:
        model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    else:
        # Memory that is not touched costs nothing: only one process holds the weights.
        model = meta_model(AutoConfig.from_pretrained(name), torch.float32)
        model.to_empty(device="cpu").tie_weights()
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    model.train()
    if world.size == 1:
        model.to(world.device)
        return model
    weights = model.state_dict() if world.main else {}
    shard(model, settings, world)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, weights, options=options)
    for buffer in model.buffers():  # tables that are computed, not stored in the weights
        dist.broadcast(buffer, 0)
    return model


def meta_model(config: Any, dtype: torch.dtype) -> Any:
    """A model without weights."""
    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(config, dtype=dtype)


def shard(model: Any, settings: Settings, world: World) -> None:
    """FSDP2: each layer is gathered only while it computes; the rest of the model is one group."""
    mesh = init_device_mesh(world.device.type, (world.size,))
    compute = torch.bfloat16 if settings.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    layers = [m for m in model.modules() if type(m).__name__ in (model._no_split_modules or ())]
    for module in [*layers, model]:
        fully_shard(module, mesh=mesh, mp_policy=policy)
