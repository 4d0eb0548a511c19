"""The weights of checkpoints whose processes wrote a part each.

    checkpoint-100/pytorch_model_fsdp_0/     FSDP, torch.distributed.checkpoint
    checkpoint-100/.metadata                 the same, written without transformers
    checkpoint-100/global_step100/           DeepSpeed ZeRO, with its zero_to_fp32.py beside

A checkpoint of one piece (model.safetensors), or of LoRA weights, needs nothing of this.
"""

import runpy
from pathlib import Path
from typing import Any

from ..errors import UserError

Weights = dict[str, Any]
WHOLE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_config.json",
)
SHARDS = ("pytorch_model_fsdp_0", ".")
WRAPPERS = ("module.", "_orig_mod.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module.")
"""Parts of names that come from what was around the model in training."""


def weights_of(checkpoint: Path) -> Weights | None:
    """All weights on the CPU under the model's own names; None where no parts are to be joined.

    Raises:
        UserError: when they cannot be read.
    """
    if any((checkpoint / name).exists() for name in WHOLE):
        return None
    folder = next((checkpoint / s for s in SHARDS if (checkpoint / s / ".metadata").exists()), None)
    if folder is not None:
        weights = _from_fsdp(folder)
    elif (checkpoint / "zero_to_fp32.py").exists():
        weights = _from_zero(checkpoint)
    else:
        return None
    if not weights:
        raise UserError(f"{checkpoint} holds no weights.", "Take another checkpoint.")
    weights = {_own_name(name): weight for name, weight in weights.items()}
    if any(".lora_" in name for name in weights):
        raise UserError(
            f"{checkpoint} holds LoRA weights in parts, without what is needed to merge them.",
            "Let the run end and export its folder final, or resume it with FULL_STATE_DICT.",
        )
    return weights


def _from_fsdp(folder: Path) -> Weights:
    """One state dict, without any process group."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

    state: dict[str, Any] = {}
    planner: Any = _EmptyStateDictLoadPlanner
    try:
        _load_state_dict(
            state,
            storage_reader=FileSystemReader(folder),
            planner=planner(keys={"model"}),
            no_dist=True,
        )
    except (Exception, CheckpointException) as error:
        # A part that is not there, or not whole, is an error of one of many kinds, and those of
        # reading carry a whole traceback as their text.
        *_, reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{folder} is not whole: {reason[:300]}",
            "Its processes may have been stopped while saving, or its parts may lie on several "
            "machines. Take another checkpoint.",
        ) from None
    weights: Weights = state.get("model", {})
    return weights


def _from_zero(checkpoint: Path) -> Weights:
    """What the script that DeepSpeed puts beside its parts makes of them."""
    script = checkpoint / "zero_to_fp32.py"
    try:
        join = runpy.run_path(str(script))["get_fp32_state_dict_from_zero_checkpoint"]
    except ModuleNotFoundError as error:
        raise UserError(
            f"{checkpoint} was written by DeepSpeed, and {error.name} is not installed.",
            "Export on a machine that has it: pip install deepspeed.",
        ) from None
    try:
        return dict(join(str(checkpoint)))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            f"DeepSpeed cannot join the parts in {checkpoint}: {error}",
            "Take another checkpoint.",
        ) from None


def _own_name(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name
