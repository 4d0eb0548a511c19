"""The processes, and the model on them: whole in one process, sharded with FSDP2 over several."""

import os
from array import array
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM

from custom_data import Batch, Example, collate
from custom_loss import in_chunks
from custom_settings import Settings, processes
from rl_rollouts.errors import UserError
from rl_rollouts.models.packed import keep_apart


class World(NamedTuple):
    """This process among all of the run."""

    rank: int
    size: int
    device: torch.device

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        dist.all_reduce(summed := values.to(self.device))
        return summed

    def autocast(self, settings: Settings) -> AbstractContextManager[Any]:
        """bfloat16 for a single process; FSDP has a precision policy of its own."""
        low = settings.dtype == "bfloat16" and self.size == 1
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)


def join_world() -> World:
    """Join the process group that torchrun describes in the environment, or make one of one."""
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    # gloo too, for objects; one process may wait for another's rewards, or for a server's answers
    backends, patience = "cpu:gloo,cuda:nccl" if cuda else "gloo", timedelta(minutes=15)
    store = None if "RANK" in os.environ else dist.HashStore()  # type: ignore[attr-defined]
    world, bound = World(rank, processes(), device), device if cuda else None
    dist.init_process_group(backends, None, patience, world.size, rank, store, device_id=bound)
    return world


class Policy(nn.Module):
    """A causal language model that gives log-probabilities of tokens, not logits."""

    def __init__(self, model: Any, settings: Settings) -> None:
        super().__init__()
        self.model, self.chunk = model, settings.loss_chunk
        self.apart = settings.packing and keep_apart(model)
        # What is sampled at a temperature comes from logits that are divided by it.
        self.temperature = settings.temperature if settings.online else 1.0

    def forward(self, batch: Batch, whole: bool = False) -> Tensor:
        """Log-probabilities of the trained tokens of a batch, (trained tokens,), float32.

        All logits of a long batch are the peak of memory: vocabulary x tokens x 4 bytes, and that
        again for their gradient. So they are made in chunks, and again in the backward pass.

        Args:
            whole: all at once, from the model's own head.
        """
        learn = batch["trained"][:, 1:]
        targets = batch["tokens"][:, 1:][learn]
        inputs: dict[str, Any] = {"input_ids": batch["tokens"], "use_cache": False}
        if "positions" in batch:  # from 0 in each sequence: so models tell packed ones apart
            inputs["position_ids"] = batch["positions"]
            if self.apart:  # what transformers calls it for flash attention
                inputs |= dict.fromkeys(("cu_seq_lens_q", "cu_seq_lens_k"), batch["bounds"])
                inputs |= dict.fromkeys(("max_length_q", "max_length_k"), batch["longest"])
        if whole or not self.chunk:
            logits = self.model(**inputs).logits[:, :-1][learn].float() / self.temperature
            return -cross_entropy(logits, targets, reduction="none")
        hidden = self.model.get_decoder()(**inputs).last_hidden_state[:, :-1][learn]
        head = self.model.get_output_embeddings()
        how = self.chunk, self.temperature
        return in_chunks(hidden, head.weight, head.bias, targets, *how)


def load_policy(settings: Settings, world: World) -> Policy:
    """The model with float32 weights, in training mode, on the devices of all processes."""
    name = settings.model_name_or_path
    chosen = {"attn_implementation": settings.attn_implementation}
    if world.rank == 0:
        model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, **chosen)
    else:
        # Memory that is not touched costs nothing: only one process holds the weights.
        model = meta_model(AutoConfig.from_pretrained(name, **chosen), torch.float32)
        model.to_empty(device="cpu").tie_weights()
    policy = Policy(model, settings)
    if settings.activation_checkpointing:
        model.activation_checkpointing_enable()
    if world.size > 1:
        shard(policy, settings, world)
    policy.to(world.device)
    check_policy(policy, settings, world)
    if settings.compile:
        for layer in layers_of(model):
            layer.compile(dynamic=True)
    return policy.train()


def meta_model(config: Any, dtype: torch.dtype) -> Any:
    """A model without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def layers_of(model: Any) -> list[Any]:
    return [m for m in model.modules() if type(m).__name__ in (model._no_split_modules or ())]


def shard(policy: Policy, settings: Settings, world: World) -> None:
    """FSDP2: each layer is gathered only while it computes; the rest of the model is one group.

    The weights are those of the first process.
    """
    weights = policy.state_dict() if world.rank == 0 else {}
    mesh = init_device_mesh(world.device.type, (world.size,))
    compute = torch.bfloat16 if settings.dtype == "bfloat16" else None
    rules = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    for module in [*layers_of(policy.model), policy]:
        fully_shard(module, mesh=mesh, mp_policy=rules)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(policy, weights, options=options)
    for buffer in policy.buffers():  # tables that are computed, not stored in the weights
        dist.broadcast(buffer, 0)


def check_policy(policy: Policy, settings: Settings, world: World) -> None:
    """See that packed sequences and logits in chunks come to what the model itself computes.

    In the precision and on the devices of the run: attention kernels take no others.
    """
    item = (Example(array("i", range(5)), b"\1" * 5),)
    alone = settings.model_copy(update={"packing": False})
    policy.eval()
    with torch.no_grad(), world.autocast(settings):
        wanted = policy(collate([item], alone, world.device), whole=True)
        found = policy(collate([item, item], settings, world.device)).view(2, 4)
    if isinstance(policy, FSDPModule):  # else what was gathered stays, whatever is loaded later
        policy.reshard()
    atol, rtol = (1e-3, 1e-3) if settings.dtype == "float32" else (0.1, 0.05)
    if not torch.allclose(found, wanted, atol=atol, rtol=rtol):
        what = f"{type(policy.model).__name__} computes something else where sequences are packed"
        remedy = "Set packing: false, or loss_chunk: 0."
        raise UserError(f"{what}, or its logits are made in chunks.", remedy)
