"""The shapes of models: layers, widths, vocabulary; what memory depends on beside their size."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder import machine


@dataclass(frozen=True)
class Shape:
    """A decoder of alike layers."""

    layers: int
    hidden: int
    ffn: int
    """Width between the matrices of a layer; of a mixture that of the experts that compute."""
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    """Whether embedding and head are one matrix."""

    @property
    def root(self) -> int:
        """Weights of embedding and head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def billions(self) -> float:
        """Its weights; of a mixture only those that compute."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        return (self.root + self.layers * (attention + 3 * self.hidden * self.ffn)) / 1e9


WELL_KNOWN = {
    "qwen3-0.6b": Shape(28, 1024, 3072, 16, 8, 128, 151_936, True),
    "qwen3-1.7b": Shape(28, 2048, 6144, 16, 8, 128, 151_936, True),
    "qwen3-4b": Shape(36, 2560, 9728, 32, 8, 128, 151_936, True),
    "qwen3-8b": Shape(36, 4096, 12_288, 32, 8, 128, 151_936, False),
    "qwen3-14b": Shape(40, 5120, 17_408, 40, 8, 128, 151_936, False),
    "qwen3-32b": Shape(64, 5120, 25_600, 64, 8, 128, 151_936, False),
    "qwen2.5-0.5b": Shape(24, 896, 4864, 14, 2, 64, 151_936, True),
    "qwen2.5-1.5b": Shape(28, 1536, 8960, 12, 2, 128, 151_936, True),
    "qwen2.5-3b": Shape(36, 2048, 11_008, 16, 2, 128, 151_936, True),
    "qwen2.5-7b": Shape(28, 3584, 18_944, 28, 4, 128, 152_064, False),
    "qwen2.5-14b": Shape(48, 5120, 13_824, 40, 8, 128, 152_064, False),
    "qwen2.5-32b": Shape(64, 5120, 27_648, 40, 8, 128, 152_064, False),
    "qwen2.5-72b": Shape(80, 8192, 29_568, 64, 8, 128, 152_064, False),
    "llama-3.2-1b": Shape(16, 2048, 8192, 32, 8, 64, 128_256, True),
    "llama-3.2-3b": Shape(28, 3072, 8192, 24, 8, 128, 128_256, True),
    "llama-3.1-8b": Shape(32, 4096, 14_336, 32, 8, 128, 128_256, False),
    "llama-3.1-70b": Shape(80, 8192, 28_672, 64, 8, 128, 128_256, False),
    "llama-3.3-70b": Shape(80, 8192, 28_672, 64, 8, 128, 128_256, False),
}
"""As their config.json have it on the Hugging Face Hub. Written down on 2026-11-28."""


def shape_of(model: str) -> Shape | None:
    """That of a local folder, or of a well-known model; None where it is not known."""
    folder = machine.found(model)
    if folder and folder.is_dir():
        return _in_folder(folder)
    name = Path(model).name.lower()
    return next((WELL_KNOWN[known] for known in WELL_KNOWN if name.startswith(known)), None)


def _in_folder(folder: Path) -> Shape | None:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        return _read(config.get("text_config") or config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return None


def _read(config: dict[str, Any]) -> Shape:
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    experts = config.get("num_experts_per_tok")
    width = config.get("moe_intermediate_size") if experts else None
    return Shape(
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        ffn=int(width or config["intermediate_size"]) * int(experts or 1),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def fitted(billions: float) -> Shape:
    """A guess from the size alone, the last resort: a fit of layers and layers x hidden size to
    Qwen3 0.6B to 32B and Llama-3 70B."""
    layers = max(1, round(20 * billions**0.33))
    hidden = max(1, round(40_000 * billions**0.65 / layers))
    heads = max(1, hidden // 128)
    return Shape(layers, hidden, 4 * hidden, heads, min(heads, 8), 128, 152_000, billions < 4)
