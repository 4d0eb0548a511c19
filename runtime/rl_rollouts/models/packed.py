"""Attention of sequences that are packed into one row, each for itself.

By default transformers masks the whole row: it computes what lies between the sequences, most of a
long row, and drops it. Here the bounds of the sequences go to torch's own flash attention on a GPU,
and elsewhere to its attention sequence by sequence.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

APART = "sdpa_apart"
"""What the attention is called in a model's config."""


def keep_apart(model: Any) -> bool:
    """Set this attention where a model would use sdpa; True if it then is told the bounds."""
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
        options: with `cu_seq_lens_q`, where each sequence begins and the last one ends.
    """
    bounds = options.pop("cu_seq_lens_q", None)
    if bounds is None:
        return sdpa_attention_forward(module, query, key, value, mask, **options)
    kind = query.device.type
    if torch.is_autocast_enabled(kind):  # norms and positions are computed in float32
        low = torch.get_autocast_dtype(kind)
        query, key, value = query.to(low), key.to(low), value.to(low)
    if not has_kernel(query, value) or options.get("dropout"):
        return one_by_one(module, query, key, value, bounds, **options)
    longest, window = options["max_length_q"], options.get("sliding_window") or 0
    q, k, v = (each.squeeze(0).transpose(0, 1) for each in (query, key, value))
    scale, near = options.get("scaling"), (window - 1, 0)
    where = bounds, bounds, longest, longest
    found: Any = varlen_attn(q, k, v, *where, scale=scale, window_size=near, enable_gqa=True)
    return found[None], None


def has_kernel(query: Tensor, value: Tensor) -> bool:
    """Whether torch's flash attention takes them: all sequences at once, on a GPU in 16 bits."""
    width, low = query.shape[-1], query.dtype in {torch.bfloat16, torch.float16}
    return query.is_cuda and low and width == value.shape[-1] <= 256 and width % 8 == 0


def one_by_one(
    module: Any, query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, **options: Any
) -> Any:
    """The same in a loop over the sequences."""
    found, lengths, window = [], bounds.diff().tolist(), options.get("sliding_window")
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


one_by_one: Callable[..., Any] = torch.compiler.disable(one_by_one)  # type: ignore[no-redef, no-untyped-call]
AttentionInterface.register(APART, attend)
AttentionMaskInterface.register(APART, mask_padding)
