"""Generate on held-out prompts and score the answers with rewards.py.

    python evaluate.py --model outputs/my-run/final --prompts training_data.prompts.jsonl

Give several models (the one before training first, the one after last) to compare them in one
table. A model is a folder, a folder of LoRA weights, or a Hugging Face id. Responses and rewards go
to --output, one line each. Tools are shown to the model but not run: a response that calls one is
scored by its text. Reasoning between think tags is not scored.

Reward models write nothing; they score the held-out pairs of --pairs instead.
"""

from rl_rollouts.errors import run
from rl_rollouts.evaluation.command import main

if __name__ == "__main__":
    run(lambda: main(__doc__))
