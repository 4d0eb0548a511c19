"""What keys of the trainer in the template mean, in the words of `scaffolder/meaning.py`."""

from scaffolder.meaning import Meanings, Meant, of
from scaffolder.spec import ProjectSpec

SCHEDULERS = ("constant", "cosine", "linear")
OFTEN = {
    **of(
        run_name="run_name",
        output="output_dir",
        warmup="warmup_ratio",
        weight_decay="weight_decay",
        max_grad_norm="max_grad_norm",
        seed="seed",
        save_steps="save_steps",
        global_batch_size="global_batch_size",
    ),
    "scheduler": Meant(("lr_scheduler",), words=dict(zip(SCHEDULERS, SCHEDULERS, strict=True))),
}
ONLINE = of(
    rewards="rewards",
    rows_with_tools="rows_with_tools",
    num_generations="num_generations",
    completion_length="max_new_tokens",
    temperature="temperature",
    loss="loss",
    clip_low="clip_low",
    clip_high="clip_high",
)


def meanings(spec: ProjectSpec) -> Meanings:
    found = OFTEN if spec.algorithm == "sft" else OFTEN | of(kl_coefficient="beta")
    return found | (ONLINE if spec.algorithm == "grpo" else {})
