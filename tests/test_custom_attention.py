"""The custom trainer's attention over packed sequences, its head in chunks, its temperature."""

import math
import random
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

import custom_model
from custom_data import Example, Item, collate
from custom_loss import grpo, in_chunks, weight_of
from custom_model import Policy, World, load_policy
from custom_settings import Settings
from rl_rollouts.models import packed

ALONE = World(0, 1, torch.device("cpu"))


def settings(model: Path, **keys: Any) -> Settings:
    return Settings(model_name_or_path=str(model), output_dir=Path(), packing=True, **keys)


def items(*lengths: int) -> list[Item]:
    chosen = random.Random(3)
    texts = [array("i", (chosen.randrange(3, 250) for _ in range(n))) for n in lengths]
    return [(Example(text, bytes([0] + [1] * (len(text) - 1))),) for text in texts]


@pytest.fixture
def strict_attention() -> Iterator[str]:
    """As flash-attn, it takes 16 bits only (csrc/flash_attn/flash_api.cpp), or what transformers
    casts to them (integrations/flash_attention.py)."""

    def only_low(module: Any, query: Tensor, *rest: Any, **options: Any) -> Any:
        assert query.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        return transformers.AttentionInterface()["sdpa"](module, query, *rest, **options)

    transformers.AttentionInterface.register("low_only", only_low)
    mask = transformers.AttentionMaskInterface()["sdpa"]
    transformers.AttentionMaskInterface.register("low_only", mask)
    yield "low_only"


def test_the_check_of_a_model_computes_in_the_precision_of_the_run(
    tiny_qwen: Path, strict_attention: str
) -> None:
    chosen = settings(tiny_qwen, dtype="bfloat16", attn_implementation=strict_attention)
    policy = load_policy(chosen, ALONE)
    assert policy.training and not policy.apart


def kernel(
    query: Tensor, key: Tensor, value: Tensor, starts: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    """What torch.nn.attention.varlen says of its kernel, by definition: (tokens, heads, width)."""
    _, longest, _, causal, scale, window, gqa = rest[:7]
    assert longest == starts.diff().max() and gqa
    assert (causal and window == [-1, 0]) or window[0] == 3
    found = []
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        q, k, v = (each[first:last].transpose(0, 1) for each in (query, key, value))
        near = torch.ones(last - first, last - first, dtype=torch.bool).tril()
        near = near if window[0] < 0 else near.triu(-window[0])
        found.append(sdpa(q, k, v, near, scale=scale, enable_gqa=True).transpose(0, 1))
    return torch.cat(found), query.new_zeros(query.shape[1], len(query)), query.new_zeros(2)


torch.library.register_kernel("torch_attn::_varlen_attn", "cpu", kernel)


@pytest.mark.parametrize("window", [None, 4])
def test_the_kernel_of_a_gpu_is_called_with_what_it_needs(
    tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    layers = ["full_attention", "sliding_attention"] if window else ["full_attention"] * 2
    near = {"use_sliding_window": bool(window), "sliding_window": window, "layer_types": layers}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_qwen, attn_implementation="sdpa", **near
    )
    policy, batch = Policy(model, settings(tiny_qwen)), items(7, 12, 5, 9)
    row = collate(batch, settings(tiny_qwen))
    with torch.no_grad():
        looped = policy(row)
        monkeypatch.setattr(packed, "has_kernel", lambda *_: True)
        monkeypatch.setattr(packed, "one_by_one", None)
        assert torch.allclose(policy(row), looped, atol=1e-5)


@pytest.mark.parametrize("looped", [True, False])
def test_compiled_layers_take_any_number_of_packed_sequences(
    tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch, looped: bool
) -> None:
    """Each other number or length was one more guard, until the compiler gave up at eight."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    if not looped:
        monkeypatch.setattr(packed, "has_kernel", lambda *_: True)
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_qwen, attn_implementation="sdpa")
    policy = Policy(model, settings(tiny_qwen))
    for layer in custom_model.layers_of(model):
        layer.compile(dynamic=True, backend="eager")
    chosen = random.Random(0)
    for count in range(1, 14):
        lengths = [chosen.randrange(2, 40) for _ in range(count)]
        with torch.set_grad_enabled(looped):  # the stand-in has no gradient
            policy(collate(items(*lengths), settings(tiny_qwen)))
    assert not counters["recompile_limit"] and not counters["unimplemented"]
    assert counters["frames"]["total"] == counters["frames"]["ok"]
    compiled = counters["stats"]["unique_graphs"]
    assert 0 < compiled <= 12, "a few graphs, however many packs"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_head_in_chunks_is_the_head(bias: bool, temperature: float) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(23, 8, requires_grad=True)
    head = torch.nn.Linear(8, 11, bias=bias)
    targets = torch.randint(11, (23,))
    grad = torch.randn(23)
    known = (head(hidden) / temperature).log_softmax(-1)[range(23), targets]
    weights = [hidden, *head.parameters()]
    wanted = torch.autograd.grad(known, weights, grad)
    found = in_chunks(hidden, head.weight, head.bias, targets, 5, temperature)
    assert torch.allclose(found, known.detach(), atol=1e-6)
    for one, other in zip(torch.autograd.grad(found, weights, grad), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_gradient_of_the_head_does_not_depend_on_the_chunk() -> None:
    """bfloat16 weights, as FSDP gathers them: summed over 64 chunks in bfloat16, 1 % is lost."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(4096, 32), torch.randn(64, 32) / 8
    targets = torch.randint(64, (4096,))

    def gradient(chunk: int, dtype: torch.dtype) -> Tensor:
        head = weight.to(dtype).requires_grad_()
        found = in_chunks(hidden.to(dtype), head, None, targets, chunk, 1.0)
        return torch.autograd.grad(found.sum(), head)[0].float()

    exact = gradient(4096, torch.float32)
    lost = [(gradient(n, torch.bfloat16) - exact).norm() / exact.norm() for n in (4096, 64)]
    assert lost[1] < 1.2 * lost[0] < 0.01


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.5])
def test_the_policy_that_learns_is_the_one_that_was_sampled(
    tiny_qwen: Path, temperature: float
) -> None:
    """A server says how likely its tokens were at its temperature: the ratio to that is 1."""
    chosen = settings(tiny_qwen, algorithm="grpo", temperature=temperature, loss_chunk=16)
    policy = load_policy(chosen, ALONE).eval()
    torch.manual_seed(0)
    tokens, sampled = torch.randint(5, 250, (1, 8)), list[float]()
    with torch.no_grad():
        for _ in range(32):
            scores = policy.model(tokens).logits[0, -1].float() / temperature
            token = torch.multinomial(scores.softmax(-1), 1)
            sampled.append(float(scores.log_softmax(-1)[token]))
            tokens = torch.cat([tokens, token[None]], dim=1)
        text = array("i", tokens[0].tolist())
        item = (Example(text, bytes(8) + b"\1" * 32, 1.0, tuple(sampled)),)
        for chunk in (16, 0):
            policy.chunk = chunk
            batch = collate([item], chosen)
            ratio = (policy(batch) - batch["sampled"]).exp()
            assert torch.allclose(ratio, torch.ones(32), atol=1e-3)
            assert grpo(policy(batch), None, batch, chosen)["clip_ratio"] == 0
    assert math.isfinite(sum(sampled))


def test_a_response_counts_alike_whatever_its_length(tiny_qwen: Path) -> None:
    lengths, advantages = [5, 1, 2], torch.tensor([1.0, -1.0, 0.5])
    items: list[Item] = [(Example(array("i", range(n + 1)), b"\0" + b"\1" * n),) for n in lengths]
    batch = {"counts": torch.tensor(lengths), "advantages": advantages}
    gradients = {}
    for loss in ("token_mean", "response_mean"):
        chosen = settings(tiny_qwen, algorithm="grpo", loss=loss)
        logprobs = torch.zeros(8, requires_grad=True)
        found = grpo(logprobs, None, batch, chosen)["loss"] / weight_of(items, chosen)
        (gradients[loss],) = torch.autograd.grad(found, logprobs)
    each = advantages.repeat_interleave(batch["counts"])
    assert torch.allclose(gradients["token_mean"], -each / 8)
    shares = (advantages / batch["counts"] / 3).repeat_interleave(batch["counts"])
    assert torch.allclose(gradients["response_mean"], -shares)
