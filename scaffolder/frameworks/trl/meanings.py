"""What keys of TRL's configs mean, in the words of `scaffolder/meaning.py`."""

from scaffolder.meaning import Meanings, Meant, of
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE

LOSSES = {"dapo": "token_mean", "grpo": "response_mean"}
SCHEDULERS = {"constant_with_warmup": "constant", "cosine": "cosine", "linear": "linear"}
OFTEN = {
    **of(
        run_name="run_name",
        output="output_dir",
        weight_decay="weight_decay",
        max_grad_norm="max_grad_norm",
        seed="seed",
        save_steps="save_steps",
    ),
    "warmup": Meant(("warmup_steps",), below=1),
    "scheduler": Meant(("lr_scheduler_type",), words=SCHEDULERS),
}
ONLINE = of(
    rewards="rewards",
    rows_with_tools="rows_with_tools",
    num_generations="num_generations",
    completion_length="max_completion_length",
    kl_coefficient="beta",
    temperature="temperature",
    top_p="top_p",
    clip_low="epsilon",
    clip_high="epsilon_high",
)
ADAPTERS = of(lora_rank="lora_r", lora_alpha="lora_alpha")
BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")


def meanings(spec: ProjectSpec, processes: int) -> Meanings:
    found = OFTEN | {"global_batch_size": Meant(BATCH, times=processes)}
    if spec.algorithm not in OFFLINE:
        found |= ONLINE
    elif spec.algorithm in {"dpo", "kto"}:
        found |= of(kl_coefficient="beta")
    if spec.algorithm == "grpo":
        found["loss"] = Meant(("loss_type",), words=LOSSES)
    return found | ({} if spec.tuning == "full" else ADAPTERS)
