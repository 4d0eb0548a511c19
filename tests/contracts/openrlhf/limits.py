"""What OpenRLHF, DeepSpeed, torch and vLLM accept of a value, which its parser does not declare.

They say it in the middle of their code, or break: each is where a run of `test_mutations.py` ended,
or a rule of the code that is named.
"""

import re

from contracts.extraction import Json

Limits = dict[str, float]
POSITIVE: Limits = {"gt": 0}
COUNT: Limits = {"ge": 0}
SHARE: Limits = {"ge": 0, "le": 1}
LIMITS: dict[str, Limits] = {
    r".*(micro_batch_size|num_nodes|num_gpus_per_node|n_samples_per_prompt)": POSITIVE,
    r"(train|rollout)\.(batch_size|max_epochs|num_episodes|vllm_generate_batch_size)": POSITIVE,
    r".*(tensor_parallel_size|ring_attn_size|ring_attn_head_stride|async_queue_size)": POSITIVE,
    r"(train|rollout)\.max_tokens_per_gpu": POSITIVE,
    r"data\.(max_len|max_samples)": POSITIVE,
    r"rollout\.max_new_tokens": POSITIVE,
    r"vllm\.num_engines": POSITIVE,
    r"vllm\.gpu_memory_utilization": {"gt": 0, "le": 1},
    r"rollout\.top_p": {"gt": 0, "le": 1},
    r"(rollout|eval)\.temperature": COUNT,
    r"(.*\.)?(adam|muon)\.(lr|weight_decay|eps)": COUNT,
    r"(.*\.)?muon\.momentum": SHARE,
    r"(.*\.)?(lr_warmup_ratio|min_lr_ratio)": SHARE,
    r"(.*\.)?max_norm": COUNT,
    r"algo\.kl\.init_coef": COUNT,
    r"algo\.advantage\.(gamma|lambd)": SHARE,
    r"actor\.(eps_clip|dual_clip)": COUNT,
    r"model\.(beta)": POSITIVE,
    r"model\.label_smoothing": {"ge": 0, "lt": 0.5},
    r"ds\.zero_stage": {"ge": 0, "le": 3},
    r"ds\.zpg": POSITIVE,
    r"ds\.lora\.rank": COUNT,
    r"ds\.lora\.alpha": POSITIVE,
    r"ds\.lora\.dropout": {"ge": 0, "lt": 1},
    r"train\.seed": {"ge": 0, "lt": 2**32},
    r"train\.ema_beta": SHARE,
    r"ckpt\.(max_num|max_mem)": POSITIVE,
    r"ckpt\.save_steps": {"ge": -1},
    r"eval\.steps": {"ge": -1},
    r"eval\.n_samples_per_prompt": POSITIVE,
    r"logger\.logging_steps": POSITIVE,
    r"data\.dataloader_num_workers": COUNT,
    r"reward\.overlong_buffer_len": COUNT,
    r"reward\.stop_properly_penalty_coef": {"le": 1},
}
SCHEDULERS = [
    "constant",
    "constant_with_warmup",
    "cosine",
    "cosine_warmup_with_min_lr",
    "cosine_with_min_lr",
    "cosine_with_restarts",
    "linear",
    "polynomial",
]
"""Those that transformers makes without more arguments than OpenRLHF gives."""
CHOICES: dict[str, list[str]] = {
    r"(.*\.)?lr_scheduler": SCHEDULERS,
    r"model\.loss_type": ["sigmoid", "logexp"],
    r"ds\.grad_accum_dtype": ["bf16", "fp16", "fp32"],
    r"ds\.attn_implementation": [
        "eager",
        "sdpa",
        "flash_attention_2",
        "flash_attention_3",
        "kernels-community/*",
    ],
    r"vllm\.sync_backend": ["nccl", "gloo"],
}
NEEDED = (r"(model|actor)\.model_name_or_path", r"data\.(input|chosen|rejected)_key")
"""Keys whose default is none, or no column of ours."""
NAMED = r"data\.label_key"


def add(keys: dict[str, Json]) -> None:
    """Write limits and choices beside the keys of one command."""
    for key, described in keys.items():
        for pattern, limits in LIMITS.items():
            if re.fullmatch(pattern, key):
                described.update(limits)
        for pattern, choices in CHOICES.items():
            if re.fullmatch(pattern, key):
                described["choices"] = choices
        if any(re.fullmatch(pattern, key) for pattern in (*NEEDED, NAMED)):
            described.pop("default")
            described.update({"type": "str", "min_length": 1})
