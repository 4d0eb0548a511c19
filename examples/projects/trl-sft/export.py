"""Write a trained model for serving: safetensors in one dtype, tokenizer and chat template.

    python export.py --checkpoint outputs/my-run/final --output exported

The result is loaded again and compared before it gets its name. It is a plain Hugging Face folder:
`vllm serve exported` and `AutoModelForCausalLM.from_pretrained("exported")` read it.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from dataprep.errors import UserError, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a trained model")
    parser.add_argument("--output", type=Path, default=Path("exported"), help="new folder")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    arguments = parser.parse_args()
    if arguments.output.exists():
        raise UserError(f"{arguments.output} is there already.", "Choose another --output.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=arguments.output.parent) as folder:
        partial = Path(folder) / "model"
        export(arguments.checkpoint, partial, arguments.dtype)
        shutil.move(partial, arguments.output)
    print(f"wrote {arguments.output}")


def export(checkpoint: Path, output: Path, dtype: str) -> None:
    """Cast, save, load again and compare every weight."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype))
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot load {checkpoint}: {error}", "Give a trained model.") from None
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    saved = dict(AutoModelForCausalLM.from_pretrained(output, dtype="auto").named_parameters())
    for name, weight in model.named_parameters():
        if not torch.equal(weight, saved[name]):
            raise UserError(f"{name} changed on the way to disk.", "Check the disk.", exit_code=1)


if __name__ == "__main__":
    run(main)
