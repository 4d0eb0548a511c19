"""TRL: the trainers of the Hugging Face ecosystem."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scaffolder.frameworks import Framework
from scaffolder.frameworks.trl import checks, facts, usual
from scaffolder.frameworks.trl.chat_template import judge
from scaffolder.frameworks.trl.meanings import meanings
from scaffolder.meaning import Meanings
from scaffolder.memory import TrainingCost
from scaffolder.plan import ConfigKeys, Plan, Server
from scaffolder.planning import data_parallel_plan
from scaffolder.schema import load
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE, Algorithm

# TRL loads float32 by default: weight 4, gradient 4, AdamW 8 bytes, bf16 only inside autocast.
# Of the head it makes tiles, no logits (add_fused_lm_head: sft, dpo, kto, grpo, rloo), and a
# reward model has one number a sequence.
FULL = TrainingCost(
    weight_bytes=4, gradient_bytes=4, optimizer_bytes=8, has_logits=False, autocast=True
)
ADAPTER_SHARE = 0.01
"""Weights that LoRA adds, of those of the model: rank 16 on all linear layers is about this."""
ADAPTER = replace(
    FULL,
    gradient_bytes=FULL.gradient_bytes * ADAPTER_SHARE,
    optimizer_bytes=FULL.optimizer_bytes * ADAPTER_SHARE,
    autocast=False,  # the weights are in bfloat16
)
FROZEN_BYTES = {"lora": 2.0, "qlora": 0.6}
"""Of a weight beside the adapter: bfloat16; 4 bits and its scales."""
PAIRED = {"dpo", "kto", "rm"}
"""Two sequences a row: chosen and rejected, or a completion and one to estimate the KL with."""
ENGINE_SHARE = 0.3
"""TRL's default for vLLM on the trainer's GPUs."""
SERVER_PORT = 8000
CONFIG_CLASSES = {
    "sft": "SFTConfig",
    "dpo": "DPOConfig",
    "kto": "KTOConfig",
    "rm": "RewardConfig",
    "rloo": "RLOOConfig",
}
"""GRPOConfig for the others, which are variants of GRPO."""
TITLES = {
    "sft": "Supervised fine-tuning",
    "dpo": "Direct preference optimization",
    "kto": "Kahneman-Tversky optimization",
    "rm": "A reward model",
    "grpo": "Group relative policy optimization",
    "rloo": "REINFORCE leave-one-out",
    "dapo": "DAPO, a variant of GRPO,",
    "gspo": "GSPO, a variant of GRPO,",
}
ROWS = {"preference": "pairs", "prompts": "responses"}
LAUNCHER = ["-m", "accelerate.commands.launch", "--config_file", "accelerate_config.yaml"]
DISTRIBUTED_TYPES = {
    "ddp": "MULTI_GPU",
    "fsdp2": "FSDP",
    "zero2": "DEEPSPEED",
    "zero3": "DEEPSPEED",
}
"""What Accelerate calls them."""
SHARDING_WORDS = {
    "ddp": "One process per GPU, each with a copy of the model.",
    "fsdp2": "One process per GPU; weights and states are split over all of them (FSDP2).",
    "zero2": "One process per GPU; gradients and optimizer states are split over all (ZeRO-2).",
    "zero3": "One process per GPU; weights and states are split over all of them (ZeRO-3).",
}


class Trl(Framework):
    name = "trl"
    title = "TRL"
    homepage = "https://github.com/huggingface/trl"
    version = "1.16.0"
    requirements = (
        "torch==2.13.0",
        "trl==1.16.0",
        "transformers==5.23.0",
        "accelerate==1.15.0",
        "datasets==5.2.0",
    )
    extra_requirements = {"lora": ("peft==0.21.2",), "qlora": ("peft==0.21.2",)}
    gpu_requirements = {
        "qlora": ("bitsandbytes==0.50.2",),
        "zero2": ("deepspeed==0.19.8",),
        "zero3": ("deepspeed==0.19.8",),
        # The newest that TRL 1.16.0 and transformers 5.23.0 both accept.
        "vllm_colocate": ("vllm==0.30.0",),
        "vllm_server": ("vllm==0.30.0",),
    }
    algorithms = ("sft", "dpo", "kto", "rm", "grpo", "rloo", "dapo", "gspo")
    topologies = ("local",)
    patterns = ("direct",)
    tunings = ("full", "lora", "qlora")
    shardings = ("ddp", "fsdp2", "zero3", "zero2")
    generations = ("vllm_colocate", "vllm_server", "transformers")
    rows_with_tools = ("refuse", "drop", "environment")
    unavailable = {
        "ppo": "TRL 1.16.0 no longer has a PPO trainer",
        "reinforce_pp": "TRL 1.16.0 has no REINFORCE++; rloo is the nearest",
    }
    usual = True
    resume = "--resume_from_checkpoint latest"
    override = "--learning_rate 2e-5"
    checks = (checks.check,)
    facts = facts.FACTS

    def keys(self, algorithm: Algorithm) -> ConfigKeys:
        online = algorithm not in OFFLINE
        return ConfigKeys(
            algorithm="algorithm",
            model="model_name_or_path",
            output="output_dir",
            tracker="report_to",
            learning_rate="learning_rate",
            epochs="num_train_epochs",
            lengths=("max_prompt_length", "max_completion_length") if online else ("max_length",),
        )

    def meanings(self, spec: ProjectSpec, plan: Plan) -> Meanings:
        return {**super().meanings(spec, plan), **meanings(spec, plan.world_size)}

    def unsupported(self, spec: ProjectSpec) -> list[str]:
        reasons = super().unsupported(spec)
        if spec.tuning == "qlora" and spec.sharding in {"fsdp2", "zero2", "zero3"}:
            reasons.append(
                f"{self.title} {self.version} with tuning qlora: weights in 4 bits are not split "
                "between processes (sharding can be: ddp)"
            )
        return reasons

    def plan(self, spec: ProjectSpec) -> Plan:
        trainer = replace(
            self.trainer(
                spec.algorithm, _cost(spec), usual.learning_rate(spec), usual.details(spec)
            ),
            shardings=("ddp",) if spec.tuning == "qlora" else self.shardings,
            engine_share=ENGINE_SHARE,
            # Awake again, an engine is sent all weights anew, which are not in 4 bits.
            engine_sleeps=spec.tuning != "qlora",
            # With one row there is no second one to estimate the KL with, and KTOTrainer refuses.
            smallest_micro_batch=2 if spec.algorithm == "kto" else 1,
        )
        plan = data_parallel_plan(spec, trainer)
        chosen = (spec.tuning, plan.sharding, plan.generation)
        # For one process accelerate passes no signal on, and opens no port to be waited for.
        launcher = [] if _alone(spec, plan) else LAUNCHER
        return plan.model_copy(
            update={
                "requirements": [*plan.requirements, *_of(self.extra_requirements, chosen)],
                "gpu_requirements": _of(self.gpu_requirements, chosen),
                "launcher": launcher,
                "node_flags": {
                    "rank": "--machine_rank",
                    "address": "--main_process_ip",
                    "port": "--main_process_port",
                },
                "server": _server(spec, plan),
                "notes": [*plan.notes, *_notes(spec, plan)],
                "settings": _settings(spec, plan),
            }
        )


def _of(packages: Mapping[str, Sequence[str]], chosen: Iterable[str | None]) -> list[str]:
    return [package for word in chosen for package in packages.get(word or "", ())]


def _cost(spec: ProjectSpec) -> TrainingCost:
    cost = FULL
    if spec.tuning in FROZEN_BYTES:
        weight = FROZEN_BYTES[spec.tuning] + FULL.weight_bytes * ADAPTER_SHARE
        cost = replace(ADAPTER, weight_bytes=weight)
    elif usual.kl_coefficient(spec):
        cost = replace(FULL, weight_bytes=2 * FULL.weight_bytes)
    sequences = 2 if spec.algorithm in PAIRED else 1
    return replace(cost, sequences_per_row=sequences)


def _alone(spec: ProjectSpec, plan: Plan) -> bool:
    """One process, which no other has to find."""
    return plan.sharding == "ddp" and plan.world_size == 1 and spec.nodes == 1


def _settings(spec: ProjectSpec, plan: Plan) -> dict[str, object]:
    alone = _alone(spec, plan)
    schema = load(Path(__file__).parent, Trl.version)
    template = judge(spec.model, schema.chat_templates if schema else {})
    return {
        "title": TITLES[spec.algorithm],
        "rows": ROWS.get(plan.dataset_kind, "rows"),
        "config_class": CONFIG_CLASSES.get(spec.algorithm, "GRPOConfig"),
        "distributed_type": "NO" if alone else DISTRIBUTED_TYPES[plan.sharding],
        "sharding_words": "One process." if alone else SHARDING_WORDS[plan.sharding],
        "assistant_only_loss": template.marks_turns is not False,
        "template_words": template.words,
    }


def _notes(spec: ProjectSpec, plan: Plan) -> Iterable[str]:
    if plan.generation in {None, "transformers"} or spec.tuning == "full":
        return
    if plan.sharding == "fsdp2":
        yield (
            "TRL's own source leaves open whether adapters reach vLLM when FSDP splits them; "
            "--sharding ddp or zero3 are the paths that it describes."
        )
    if spec.tuning == "qlora":
        yield "vLLM loads the weights in 4 bits as well, through bitsandbytes; not run here."


def _server(spec: ProjectSpec, plan: Plan) -> Server | None:
    """vLLM's own server, as TRL 1.16.0 wants it (trl/scripts/vllm_serve.py, build_command)."""
    if not plan.generation_gpus:
        return None
    options = {
        "--port": str(SERVER_PORT),
        "--tensor-parallel-size": str(plan.generation_tensor_parallel),
        "--gpu-memory-utilization": "0.9",
        "--max-model-len": str(spec.sequence_length),
        "--weight-transfer-config": '{"backend": "nccl"}',
        "--logprobs-mode": "processed_logprobs",
        "--max-logprobs": "-1",
    }
    words = [word for option in options.items() for word in option]
    return Server(
        command=[
            "-m",
            "vllm.entrypoints.cli.main",
            "serve",
            spec.model,
            *words,
            "--enable-scale-out",
        ],
        # The endpoints through which the trainer sends its weights are part of the dev mode.
        environment={"VLLM_SERVER_DEV_MODE": "1"},
        gpus=plan.generation_gpus,
        port=SERVER_PORT,
        address_option="--vllm_server_base_url",
    )


FRAMEWORK = Trl()
