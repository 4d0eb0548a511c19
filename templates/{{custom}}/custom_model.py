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
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoConfig,
    AutoModelForCausalLM,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from custom_data import Batch, Example, collate
from custom_settings import Settings, processes
from rl_rollouts.errors import UserError


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
    # gloo too, for objects; one process may wait long for another's rewards
    backends, patience = "cpu:gloo,cuda:nccl" if cuda else "gloo", timedelta(hours=1)
    store = None if "RANK" in os.environ else dist.HashStore()  # type: ignore[attr-defined]
    world = World(rank, processes(), device)
    dist.init_process_group(backends, None, patience, world.size, rank, store)
    return world


class Policy(nn.Module):
    """A causal language model that gives log-probabilities of tokens, not logits."""

    def __init__(self, model: Any, settings: Settings) -> None:
        super().__init__()
        self.model, self.chunk = model, settings.loss_chunk
        self.apart = settings.packing and keep_apart(model)

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities of the trained tokens of a batch, (trained tokens,), float32.

        All logits of a long batch are the peak of memory: vocabulary x tokens x 4 bytes, and that
        again for their gradient. So they are made in chunks, and again in the backward pass.
        """
        learn = batch["trained"][:, 1:]
        targets = batch["tokens"][:, 1:][learn]
        inputs: dict[str, Any] = {"input_ids": batch["tokens"], "use_cache": False}
        if "positions" in batch:  # from 0 in each sequence: so models tell packed ones apart
            inputs["position_ids"] = batch["positions"]
        if self.apart:
            inputs["packed_lengths"] = batch["lengths"]
        if not self.chunk:
            logits = self.model(**inputs).logits[:, :-1][learn]
            return -cross_entropy(logits.float(), targets, reduction="none")
        hidden = self.model.get_decoder()(**inputs).last_hidden_state[:, :-1][learn]
        if len(hidden) <= self.chunk:
            return self.of_chunk(hidden, targets)
        pairs = zip(hidden.split(self.chunk), targets.split(self.chunk), strict=True)
        return torch.cat([checkpoint(self.of_chunk, *pair, use_reentrant=False) for pair in pairs])

    def of_chunk(self, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = self.model.get_output_embeddings()(hidden)
        return -cross_entropy(logits.float(), targets, reduction="none")


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
    if world.rank == 0:
        check_policy(policy, settings)
    if settings.activation_checkpointing:
        model.activation_checkpointing_enable()
    if settings.compile:
        for layer in layers_of(model):
            layer.compile(dynamic=True)
    if world.size > 1:
        shard(policy, settings, world)
    return policy.to(world.device).train()


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


@torch.no_grad()
def check_policy(policy: Policy, settings: Settings) -> None:
    """See that packed sequences and logits in chunks come to what the model itself computes."""
    example = Example(array("i", range(5)), b"\1" * 5)
    policy.eval()
    logits = policy.model(input_ids=torch.arange(5)[None], use_cache=False).logits
    wanted = -cross_entropy(logits[0, :-1], torch.arange(1, 5), reduction="none")
    found = policy(collate([(example,), (example,)], settings))
    if not torch.allclose(found.view(2, 4), wanted, atol=1e-3, rtol=1e-3):
        what = f"{type(policy.model).__name__} computes something else where sequences are packed"
        remedy = "Set packing: false, or loss_chunk: 0."
        raise UserError(f"{what}, or its logits are made in chunks.", remedy)


APART = "sdpa_apart"
"""Attention of packed sequences, each for itself. By default transformers masks the whole row: it
computes what lies between the sequences, most of a long row, and drops it."""


def keep_apart(model: Any) -> bool:
    """Set this attention where a model would use sdpa; True if it then takes `packed_lengths`."""
    # Models that can do with flash attention tell the attention all that it has to know.
    known = model._supports_flash_attn and model.config._attn_implementation in {"sdpa", APART}
    if known:
        model.set_attn_implementation(APART)
    return bool(known)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any = None, **options: Any
) -> Any:
    """Causal attention within each sequence of a row, as transformers calls it.

    Args:
        query: (1, heads, tokens, width), as key and value.
        mask: where nothing is packed, as in generation.
        options: with `packed_lengths`, the tokens of each sequence.
    """
    lengths, window = options.pop("packed_lengths", None), options.get("sliding_window")
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, mask, **options)
    found = []
    split = (torch.split(each, lengths, dim=2) for each in (query, key, value))
    for parts in zip(*split, strict=True):
        near, length = None, parts[0].shape[2]
        if window and window < length:
            near = torch.ones(length, length, dtype=torch.bool, device=query.device)
            near = near.tril().triu(1 - window)
        found.append(sdpa_attention_forward(module, *parts, near, **options)[0])
    return torch.cat(found, dim=1), None


def mask_padding(*, attention_mask: Tensor | None = None, **options: Any) -> Any:
    """sdpa's mask where there is padding; packed rows, which have none, need no mask."""
    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **options)


AttentionInterface.register(APART, torch.compiler.disable(attend))  # type: ignore[no-untyped-call]
AttentionMaskInterface.register(APART, mask_padding)
