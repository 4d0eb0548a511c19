"""Where a model lies that is too large for one GPU, when it is evaluated."""

import itertools

import pytest
import torch

from rl_rollouts.errors import UserError
from rl_rollouts.models.devices import spread


def model(layers: int) -> object:
    """As large as asked for, on no device."""
    import transformers

    config = transformers.Qwen3Config(
        vocab_size=1000,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)


def size(whole: object) -> int:
    found: int = whole.get_memory_footprint()  # type: ignore[attr-defined]
    return found


def test_a_model_that_fits_on_one_gpu_stays_there() -> None:
    whole = model(4)
    assert spread(whole, [size(whole), size(whole) * 2]) is None


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_a_large_model_lies_on_all_gpus(gpus: int) -> None:
    whole = model(32)
    found = spread(whole, [size(whole) * 2 // gpus] * gpus)
    assert found is not None and len(set(found.values())) >= gpus - 1
    order = [found[f"model.layers.{at}"] for at in range(32)]
    assert order == sorted(order), "a response crosses from one GPU to the next, not to and fro"
    held = [len(list(each)) for _, each in itertools.groupby(order)]
    assert max(held) <= 32 / gpus + 2, "and they have about as much each"


def test_a_model_too_large_for_all_gpus_is_refused() -> None:
    whole = model(8)
    with pytest.raises(UserError, match="and the 2 GPU"):
        spread(whole, [size(whole) // 3] * 2)
