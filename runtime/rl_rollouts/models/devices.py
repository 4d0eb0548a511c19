"""Where a model that generates or scores lies: on one GPU, on several where it is too large, or on
none."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UserError

WEIGHTS = 0.6
"""Share of a GPU that weights may take; responses and what is computed take the rest."""


def placed(model: Any) -> Any:
    """The model, from the CPU, on the GPUs of this machine, ready to evaluate."""
    import torch

    if not torch.cuda.is_available():
        return model.eval()
    free = [torch.cuda.mem_get_info(each)[0] for each in range(torch.cuda.device_count())]
    shares = spread(model, free)
    if shares is None:
        return model.to(f"cuda:{free.index(max(free))}").eval()
    from accelerate import dispatch_model

    return dispatch_model(model, device_map=shares).eval()


def spread(model: Any, free: Sequence[int]) -> Mapping[str, Any] | None:
    """Which GPU has which part of a model; None where one GPU has room for all of it.

    Args:
        free: bytes of each GPU.

    Raises:
        UserError: when all of them together have no room for it.
    """
    size, rooms = model.get_memory_footprint(), [int(each * WEIGHTS) for each in free]
    if size <= max(rooms):
        return None
    try:
        from accelerate import infer_auto_device_map
    except ImportError:
        said = "The model is too large for one GPU, and accelerate, which spreads it, is missing."
        raise UserError(said, "Run `pip install accelerate`.") from None
    # About as much on each; what is not split, such as a layer or the head, may be in the way.
    whole = set(model._no_split_modules or ())
    parts = [each for each in model.modules() if type(each).__name__ in whole]
    largest = max(sum(p.nbytes for p in each.parameters()) for each in [*parts, *_ends(model)])
    limits: dict[Any, int] = {
        gpu: min(room, size // len(free) + largest) for gpu, room in enumerate(rooms)
    }
    found: dict[str, Any] = infer_auto_device_map(
        model, {**limits, "cpu": 0}, no_split_module_classes=list(whole)
    )
    if {"cpu", "disk"} & set(found.values()):
        gib = 2**30
        raise UserError(
            f"The model takes {size / gib:.0f} GiB, and the {len(free)} GPU(s) have "
            f"{sum(rooms) / gib:.0f} GiB for weights.",
            "Take more GPUs, or others that are free.",
            exit_code=1,
        )
    return found


def _ends(model: Any) -> list[Any]:
    """What is before its layers and after them."""
    found = [model.get_input_embeddings(), model.get_output_embeddings()]
    return [each for each in found if each is not None]
