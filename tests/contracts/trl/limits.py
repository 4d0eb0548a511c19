"""What TRL, transformers and torch accept of a value, which none of their classes declares.

They say it in the middle of their code, or break: each is where a run of `test_mutations.py` ended.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from contracts.extraction import Json

POSITIVE = {"gt": 0}
COUNT = {"ge": 0}
NOT_EMPTY = {"min_length": 1}
SHARE = {"ge": 0, "le": 1}
SOME = {"gt": 0, "le": 1}
BELOW_ONE = {"ge": 0, "lt": 1}
PORT = {"gt": 0, "le": 65535}
SEVERAL = {"ge": 2}
LIMITS: dict[str, dict[str, int]] = {
    **dict.fromkeys(
        (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
            "num_train_epochs",
            "max_length",
            "max_prompt_length",
            "max_completion_length",
            "save_total_limit",
            "torch_empty_cache_steps",
            "dataset_num_proc",
            "steps_per_generation",
            "generation_batch_size",
            "num_iterations",
            "temperature",
            "repetition_penalty",
            "vllm_tensor_parallel_size",
            "vllm_max_model_length",
            "vllm_server_timeout",
            "lora_r",
            "lora_alpha",
            "ddp_timeout",
            "pad_to_multiple_of",
            "precompute_ref_batch_size",
            "ref_model_sync_steps",
            "eval_accumulation_steps",
            "dataloader_prefetch_factor",
            "save_steps",
            "logging_steps",
            "eval_steps",
            "adam_epsilon",
        ),
        POSITIVE,
    ),
    **dict.fromkeys(
        (
            "learning_rate",
            "weight_decay",
            "warmup_steps",
            "max_grad_norm",
            "beta",
            "epsilon",
            "epsilon_high",
            "dataloader_num_workers",
            "top_k",
            "eval_delay",
            "num_completions_to_print",
            "router_aux_loss_coef",
            "neftune_noise_alpha",
        ),
        COUNT,
    ),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "lora_dropout"), BELOW_ONE),
    **dict.fromkeys(("min_p", "label_smoothing", "top_entropy_quantile"), SHARE),
    **dict.fromkeys(("top_p", "vllm_gpu_memory_utilization"), SOME),
    **dict.fromkeys(("vllm_group_port", "vllm_server_port"), PORT),
    **dict.fromkeys(("num_generations_eval", "eval_prompts"), POSITIVE),
    "num_generations": SEVERAL,
    "max_steps": {"ge": -1},
    "local_rank": {"ge": -1},
    **dict.fromkeys(("output_dir", "model_name_or_path", "data_path"), NOT_EMPTY),
    "max_tool_calling_iterations": COUNT,
    "seed": {"ge": 0, "lt": 2**32},
    "data_seed": {"ge": 0, "lt": 2**32},
}
COMPARED = {
    "DPOConfig": ("dpo_trainer", ("loss_type", "f_divergence_type")),
    "GRPOConfig": ("grpo_trainer", ("loss_type",)),
}
"""Keys whose values a trainer compares with texts, one after the other."""
CHOICES = {
    "pad_to_multiple_of": ["auto", "none", "null", "[0-9]*"],
    "vllm_mode": ["colocate", "server"],
    "vllm_model_impl": ["vllm", "transformers", "auto"],
    "importance_sampling_level": ["token", "sequence"],
    "scale_rewards": ["group", "batch", "none"],
    "multi_objective_aggregation": ["sum_then_normalize", "normalize_then_sum"],
    "lora_task_type": ["CAUSAL_LM", "SEQ_CLS"],
    "vllm_importance_sampling_mode": [
        "token_mask",
        "token_truncate",
        "sequence_mask",
        "sequence_truncate",
    ],
}
TYPES = {"scale_rewards": "str | bool"}
"""`scale_rewards: true` is another word for group."""
MANDATORY = ("model_name_or_path",)
"""Nothing is trained without it, although ModelConfig has a default."""


def add(classes: dict[str, Json]) -> None:
    """Write limits and choices beside what was extracted."""
    for owner, described in classes.items():
        keys: dict[str, Json] = described["keys"]
        for name, key in keys.items():
            key.update(LIMITS.get(name, {}))
            if name in TYPES:
                key["type"] = TYPES[name]
            if choices := CHOICES.get(name) or _listed(name):
                key["choices"] = choices
            if name in MANDATORY:
                del key["default"]
                key["type"] = key["type"].removesuffix(" | None")
        module, compared = COMPARED.get(owner, ("", ()))
        for name in compared:
            keys[name]["choices"] = sorted(set(_texts(f"trl.trainer.{module}", name)))


def _listed(name: str) -> list[str]:
    """What registries of transformers hold."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if name == "report_to":
        return ["all", "none", *sorted(INTEGRATION_TO_CALLBACK)]
    if name == "attn_implementation":
        # The last ones are kernels of the Hub.
        return [*sorted({"eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()}), "*/*"]
    return []


def _texts(module: str, name: str) -> Iterator[str]:
    """Texts that a module compares a variable or an attribute with."""
    for node in ast.walk(ast.parse(inspect.getsource(import_module(module)))):
        if isinstance(node, ast.Compare) and _is(node.left, name):
            for other in node.comparators:
                values = other.elts if isinstance(other, ast.List | ast.Tuple) else [other]
                yield from (
                    each.value
                    for each in values
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def _is(node: Any, name: str) -> bool:
    return getattr(node, "id", None) == name or getattr(node, "attr", None) == name
