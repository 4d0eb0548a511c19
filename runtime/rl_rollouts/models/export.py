"""A trained model becomes one for serving: safetensors of one dtype, tokenizer, chat template."""

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine.write import explained
from ..errors import UserError
from ..frameworks import known
from ..hub import NOT_YET
from .folders import adapter_config, is_reward_model, load_config, load_model, load_tokenizer
from .weights import Weights, weights_of

SCORE = "score.weight"
"""The head of a reward model."""


def main(description: str | None) -> None:
    """Run export.py.

    Args:
        description: what --help says.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a trained model")
    parser.add_argument("--output", type=Path, default=Path("exported"), help="new folder")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--base", help="model that was trained, where the checkpoint is without")
    arguments = parser.parse_args()
    output: Path = arguments.output
    if output.exists() or output.is_symlink():
        raise UserError(f"{output} is there already.", "Choose another --output.")
    demand_folder(arguments.checkpoint)
    with explained(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=output.parent) as folder:
            partial, checkpoint = Path(folder) / "model", arguments.checkpoint
            checkpoint = _joined(checkpoint, Path(folder) / "merged", arguments.base)
            export(checkpoint, partial, arguments.dtype, arguments.base)
            # Fails where another export was faster: a folder is not renamed over a full one.
            partial.rename(output)
    print(f"wrote {output}")


def demand_folder(checkpoint: Path) -> None:
    """A checkpoint is a folder of this machine, never a name to look up."""
    if not checkpoint.is_dir():
        raise UserError(f"There is no folder {checkpoint}.", NOT_YET)


def _joined(checkpoint: Path, target: Path, base: str | None) -> Path:
    """The checkpoint, or what the framework that wrote it makes of its parts."""
    for framework in known().values():
        parts_of = getattr(framework, "parts_of", None)
        if parts_of is not None and (parts := parts_of(checkpoint)) is not None:
            framework.join(parts, target, base)
            return target
    return checkpoint


def export(checkpoint: Path, output: Path, dtype: str, base: str | None = None) -> None:
    """Join, merge, cast, save, load again and compare every weight."""
    import torch

    name, kind = str(checkpoint), getattr(torch, dtype)
    weights = weights_of(checkpoint)
    if weights is None:
        tokenizer, reward = load_tokenizer(name, base), is_reward_model(name)
        model = load_whole(name, kind, base, reward)
    else:
        described = described_in(checkpoint, base)
        tokenizer, reward = load_tokenizer(described), SCORE in weights
        model = fill(described, weights, kind, reward)
    if reward and model.config.pad_token_id is None:
        # Where the padding begins, is where the score is read.
        model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    compare(model, output, reward)


def load_whole(name: str, dtype: Any, base: str | None, reward: bool) -> Any:
    """A model of one piece, LoRA weights merged into it.

    They are merged in float32: added in 16 bits, most of what was learned is rounded away.
    """
    import torch

    if adapter_config(name) is None:
        return load_model(name, dtype=dtype, reward=reward)
    model = load_model(name, dtype=torch.float32, reward=reward, base=base)
    return model.merge_and_unload(safe_merge=True).to(dtype)


def described_in(checkpoint: Path, base: str | None) -> str:
    """Where config and tokenizer of a checkpoint in parts are."""
    if base is not None:
        return base
    folders = (checkpoint, checkpoint.parent / "final")
    for folder in folders:
        if (folder / "config.json").exists() and (folder / "tokenizer_config.json").exists():
            return str(folder)
    raise UserError(
        f"{checkpoint} holds weights in parts, and neither config nor tokenizer.",
        "Name the model that was trained: --base Qwen/Qwen3-1.7B, say.",
    )


def fill(described: str, weights: Weights, dtype: Any, reward: bool) -> Any:
    """A model with these weights; it is made without any, so that memory holds them once."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        GenerationConfig,
    )

    config = load_config(described)
    loader: Any = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    if reward:
        config.num_labels = len(weights[SCORE])
    with torch.device("meta"):
        model = loader.from_config(config, dtype=dtype)
    cast = {
        key: each.to(dtype) if each.is_floating_point() else each for key, each in weights.items()
    }
    try:
        missing, unknown = model.load_state_dict(cast, strict=False, assign=True)
    except RuntimeError as error:
        raise UserError(f"{described} has other shapes: {error}", "Give another --base.") from None
    missing = [name for name in missing if name not in model.all_tied_weights_keys]
    if missing or unknown:
        raise UserError(
            f"The checkpoint is not one of {described}: {len(missing)} weights are missing, "
            f"{len(unknown)} are unknown ({', '.join([*missing, *unknown][:3])}, ...).",
            "Give --base the model that was trained.",
        )
    model.tie_weights()
    if model.can_generate():
        # Without one of its own, the one that follows from the config is right.
        with suppress(OSError):
            model.generation_config = GenerationConfig.from_pretrained(described)
    return model


def compare(model: Any, output: Path, reward: bool) -> None:
    """Load what was written, and see that every weight is the one that was meant.

    Raises:
        UserError: when one is not.
    """
    import torch

    saved = dict(load_model(str(output), reward=reward).named_parameters())
    meant = dict(model.named_parameters())
    changed = sorted(meant.keys() ^ saved.keys())
    changed += [
        name
        for name in meant.keys() & saved.keys()
        if not torch.equal(meant[name], saved[name].to(meant[name].dtype))
    ]
    if changed:
        raise UserError(f"{changed[0]} changed on the way to disk.", "Check the disk.", exit_code=1)
