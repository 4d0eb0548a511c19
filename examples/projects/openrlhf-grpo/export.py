"""Write a trained model for serving: safetensors in one dtype, tokenizer and chat template.

    python export.py --checkpoint outputs/my-run/final --output exported

A checkpoint is a whole model, LoRA weights, which are merged into the model that they were trained
on, or a checkpoint of a run, also one that its processes wrote in parts; then --base names the
model whose config and tokenizer are used, where the checkpoint has none.

The result is loaded again and compared before it gets its name. It is a plain Hugging Face folder:
`vllm serve exported` and `AutoModelForCausalLM.from_pretrained("exported")` read it. A reward model
stays one: `AutoModelForSequenceClassification` reads it.
"""

from rl_rollouts.errors import run
from rl_rollouts.models.export import main

if __name__ == "__main__":
    run(lambda: main(__doc__))
