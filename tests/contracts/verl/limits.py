"""What verl, torch and Ray accept of a value, which its tree does not declare.

Where a name stands alone it is the last part of a key; they say it in the middle of their code, or
break: each is where a run of `test_mutations.py` ended.
"""

import re

from contracts.extraction import Json

POSITIVE, COUNT = {"gt": 0}, {"ge": 0}
LIMITS: dict[str, dict[str, int]] = {
    r"trainer\.(nnodes|n_gpus_per_node|total_epochs)": POSITIVE,
    r".*\.(train_batch_size|ppo_mini_batch_size|ppo_epochs)": POSITIVE,
    r".*micro_batch_size(_per_gpu)?": POSITIVE,
    r".*max_token_len_per_gpu": POSITIVE,
    r"data\.max_(prompt_|response_)?length": POSITIVE,
    r".*\.rollout\.(n|max_model_len|max_num_seqs|max_num_batched_tokens)": POSITIVE,
    r".*(_parallel_size|num_workers|num_data_storage_units)": COUNT,
    r".*(tensor|pipeline|context)_model_parallel_size": POSITIVE,
    r".*\.gpu_memory_utilization": {"gt": 0, "le": 1},
    r".*\.rollout\.(val_kwargs\.)?top_p": {"gt": 0, "le": 1},
    r".*\.rollout\.(val_kwargs\.)?temperature": COUNT,
    r".*\boptim\.(lr|weight_decay|clip_grad|min_lr)": COUNT,
    r".*\boptim\.(lr_warmup_steps_ratio|min_lr_ratio)": {"ge": 0, "le": 1},
    r".*\.(clip_ratio|clip_ratio_low|clip_ratio_high|kl_loss_coef|lora_rank)": COUNT,
    r".*\.lora_alpha": POSITIVE,
    r"(actor_rollout_ref\.|critic\.)?model\.path": {"min_length": 1},
    r"trainer\.default_local_dir": {"min_length": 1},
    r"algorithm\.(gamma|lam)": {"ge": 0, "le": 1},
}
STRATEGIES = ["fsdp", "fsdp2", "fsdp_turbo"]
DTYPES = ["bf16", "bfloat16", "fp16", "float16", "fp32", "float32", "half", "float", "16", "32"]
CHOICES: dict[str, list[str]] = {
    r"(actor_rollout_ref\.(actor|ref)|critic)\.strategy": STRATEGIES,
    r"engine\.strategy": STRATEGIES,
    r".*\boptim\.(lr_scheduler_type|warmup_style)": ["constant", "cosine"],
    r".*\.model_dtype": DTYPES,
}
NAMED = r".*(custom_cls|custom_reward_function)\.(path|name)"
"""Keys without a default that hold text."""
MEGATRON = ["megatron"]


def add(name: str, keys: dict[str, Json]) -> None:
    """Write limits and choices beside the keys of one tree."""
    for key, described in keys.items():
        for pattern, limits in LIMITS.items():
            if re.fullmatch(pattern, key):
                described.update(limits)
        for pattern, choices in CHOICES.items():
            if re.fullmatch(pattern, key):
                megatron = name.endswith("-megatron") and choices is STRATEGIES
                described["choices"] = MEGATRON if megatron else choices
        if re.fullmatch(NAMED, key):
            described["type"] = "str | None"
    for key in ("trainer.logger",):
        if key in keys:
            keys[key]["choices"] = _loggers()


def _loggers() -> list[str]:
    from verl.utils.tracking import Tracking

    return sorted(Tracking.supported_backend)
