"""The processes, and the model on them: whole in one process, sharded with FSDP2 over several."""

import os
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
from transformers import AutoConfig, AutoModelForCausalLM

from custom_batch import Batch
from custom_settings import Settings
from dataprep.errors import UserError


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

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        values = values.to(self.device)
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """What each process has, for all of them."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(found, value)
        return found

    def autocast(self, settings: Settings) -> AbstractContextManager[Any]:
        """bfloat16 for a single process; FSDP has a precision policy of its own."""
        low = settings.dtype == "bfloat16" and self.size == 1
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)


def join_world() -> World:
    """Join the process group that torchrun describes in the environment, if there is one."""
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size > 1:  # gloo too, for objects; one process may wait long for another's rewards
        backends = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backends, timeout=timedelta(hours=1))
    return World(rank, size, device)


class Policy(nn.Module):
    """A causal language model that gives log-probabilities of tokens, not logits."""

    def __init__(self, model: Any, settings: Settings) -> None:
        super().__init__()
        self.model, self.chunk = model, settings.loss_chunk
        self.flat = settings.packing and "flash" in model.config._attn_implementation
        """Whether packed sequences have to be in one row."""

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities of the trained tokens of a batch, (trained tokens,), float32.

        All logits of a long batch are the peak of memory: vocabulary x tokens x 4 bytes, and that
        again for their gradient. So they are made in chunks, and again in the backward pass.
        """
        learn = batch["trained"][:, 1:]
        targets = batch["tokens"][:, 1:][learn]
        inputs: dict[str, Any] = {"input_ids": batch["tokens"], "use_cache": False}
        inputs["position_ids"] = batch["positions"]
        if not self.chunk:
            logits = self.model(**inputs).logits[:, :-1][learn]
            return -cross_entropy(logits.float(), targets, reduction="none")
        hidden = self.model.get_decoder()(**inputs).last_hidden_state[:, :-1][learn]
        if len(hidden) <= self.chunk:
            return self.of_chunk(hidden, targets)
        pairs = zip(torch.split(hidden, self.chunk), torch.split(targets, self.chunk), strict=True)
        chunks = [checkpoint(self.of_chunk, *pair, use_reentrant=False) for pair in pairs]
        return torch.cat(chunks)

    def of_chunk(self, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = self.model.get_output_embeddings()(hidden)
        return -cross_entropy(logits.float(), targets, reduction="none")


def load_policy(settings: Settings, world: World) -> Policy:
    """The model with float32 weights, in training mode, on the devices of all processes."""
    name, attention = settings.model_name_or_path, settings.attn_implementation
    if world.main:
        model: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, attn_implementation=attention
        )
        check_model(model, settings)
    else:
        # Memory that is not touched costs nothing: only one process holds the weights.
        config = AutoConfig.from_pretrained(name, attn_implementation=attention)
        model = meta_model(config, torch.float32)
        model.to_empty(device="cpu").tie_weights()
    if settings.activation_checkpointing:
        model.activation_checkpointing_enable()
    policy = Policy(model, settings).train()
    if settings.compile:
        for layer in layers_of(model):
            layer.compile(dynamic=True)
    if world.size == 1:
        return policy.to(world.device)
    weights = model.state_dict() if world.main else {}
    shard(policy, settings, world)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, weights, options=options)
    for buffer in model.buffers():  # tables that are computed, not stored in the weights
        dist.broadcast(buffer, 0)
    return policy


def load_reference(settings: Settings, world: World) -> Policy | None:
    """The model as it was before training, frozen, where the algorithm compares with it."""
    if not settings.pull:
        return None
    quiet = settings.model_copy(update={"activation_checkpointing": False})
    return load_policy(quiet, world).eval().requires_grad_(False)


def meta_model(config: Any, dtype: torch.dtype) -> Any:
    """A model without weights."""
    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(config, dtype=dtype)


def layers_of(model: Any) -> list[Any]:
    return [m for m in model.modules() if type(m).__name__ in (model._no_split_modules or ())]


def shard(policy: Policy, settings: Settings, world: World) -> None:
    """FSDP2: each layer is gathered only while it computes; the rest of the model is one group."""
    mesh = init_device_mesh(world.device.type, (world.size,))
    compute = torch.bfloat16 if settings.dtype == "bfloat16" else None
    rules = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    for module in [*layers_of(policy.model), policy]:
        fully_shard(module, mesh=mesh, mp_policy=rules)


@torch.no_grad()
def check_model(model: Any, settings: Settings) -> None:
    """See that what is computed by other ways than the model's own comes to the same."""
    if settings.packing and model._is_stateful:
        raise UserError(
            f"{type(model).__name__} carries a state from token to token, so packed sequences "
            "would see each other.",
            "Set packing: false.",
        )
    if settings.loss_chunk:
        tokens = torch.arange(4)[None] % model.config.get_text_config().vocab_size
        model.eval()
        hidden = model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state
        apart = model.get_output_embeddings()(hidden)
        if not torch.allclose(apart, model(input_ids=tokens).logits, atol=1e-3, rtol=1e-3):
            raise UserError(
                f"{type(model).__name__} does more to its logits than its output layer does, so "
                "they cannot be made in chunks.",
                "Set loss_chunk: 0.",
            )
