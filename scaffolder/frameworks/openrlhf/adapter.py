"""OpenRLHF: reinforcement learning with DeepSpeed, vLLM and Ray, and trainers for pairs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scaffolder.errors import InfeasiblePlan
from scaffolder.frameworks import Framework
from scaffolder.frameworks.openrlhf import checks, facts, usual
from scaffolder.frameworks.openrlhf.meanings import ONE_RESPONSE, meanings
from scaffolder.frameworks.openrlhf.placement import Placement, placed
from scaffolder.meaning import Meanings
from scaffolder.memory import TrainingCost
from scaffolder.plan import ConfigKeys, Plan
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.trainer import Trainer
from scaffolder.vocabulary import OFFLINE, Algorithm

# DeepSpeed in bfloat16: weights 2, gradients 2, and in float32 a master copy and AdamW, 12 bytes.
FULL = TrainingCost(weight_bytes=2, gradient_bytes=2, optimizer_bytes=12)
ADAPTER_SHARE = 0.01
"""Weights that LoRA adds, of those of the model."""
ON_POLICY = {"rloo", "reinforce_pp"}
"""Those that take one optimizer step with what was generated; the others UPDATES."""
UPDATES = 4
DRIVERS = 2
"""CPUs of Ray beside one for each GPU (train_ppo_ray.py): its trainer, and what started it."""
TITLES = {
    "sft": "Supervised fine-tuning",
    "dpo": "Direct preference optimization",
    "rm": "A reward model",
    "ppo": "PPO",
    "grpo": "Group relative policy optimization",
    "rloo": "REINFORCE leave-one-out",
    "reinforce_pp": "REINFORCE++",
    "dapo": "DAPO",
    "gspo": "GSPO",
}
SHARDING_WORDS = {
    "zero2": "Gradients and optimizer states are split over all GPUs.",
    "zero3": "Weights, gradients and optimizer states are split over all GPUs.",
}
PLACEMENT_WORDS = {
    "vllm_colocate": "All models share all GPUs, vLLM too.",
    "vllm_server": "vLLM has GPUs of its own; it and the trainer wait for each other.",
    "vllm_async": "vLLM has GPUs of its own, and generates while the trainer works.",
}
NO_ADAPTERS = (
    "it sends adapters to vLLM under names that vLLM does not know (ppo_actor.py, "
    "broadcast_to_vllm), so that online algorithms train all weights"
)


class OpenRlhf(Framework):
    name = "openrlhf"
    title = "OpenRLHF"
    homepage = "https://github.com/OpenRLHF/OpenRLHF"
    version = "0.11.2"
    requirements = (
        "torch==2.13.0",
        "transformers==5.15.0",
        "deepspeed==0.19.6",
        "datasets==5.2.0",
        "pyarrow==26.0.1",
        "ninja==1.13.2",
        "packaging==25.0",
    )
    online_requirements = ("vllm==0.29.0", "ray[default]==2.55.0")
    # It cannot be without flash-attn, which pip compiles against the torch that is there by then.
    compiled_requirements = ("flash-attn==2.8.3", "openrlhf==0.11.2")
    algorithms = ("grpo", "sft", "dpo", "rm", "ppo", "rloo", "reinforce_pp", "dapo", "gspo")
    topologies = ("local",)
    patterns = ("direct",)
    tunings = ("full", "lora")
    shardings = ("zero2", "zero3")
    generations = ("vllm_colocate", "vllm_server", "vllm_async")
    rows_with_tools = ("refuse", "drop", "environment")
    smoke_gpus = 1
    override = "train.seed=7"
    unavailable = {
        "kto": "OpenRLHF 0.11.2 no longer has a KTO trainer",
        "lora": NO_ADAPTERS,
    }
    checks = (checks.check,)
    facts = facts.FACTS

    def keys(self, algorithm: Algorithm) -> ConfigKeys:
        online = algorithm not in OFFLINE
        return ConfigKeys(
            algorithm="algorithm",
            model="actor.model_name_or_path" if online else "model.model_name_or_path",
            output="output_dir",
            tracker="tracker",
            learning_rate="actor.adam.lr" if online else "adam.lr",
            epochs="train.num_episodes" if online else "train.max_epochs",
            lengths=("data.max_len",),
        )

    def meanings(self, spec: ProjectSpec, plan: Plan) -> Meanings:
        return {**super().meanings(spec, plan), **meanings(spec)}

    def offered(self, algorithm: str) -> Mapping[str, Sequence[str]]:
        found = super().offered(algorithm)
        return found if algorithm in OFFLINE else {**found, "tuning": ("full",)}

    def unsupported(self, spec: ProjectSpec) -> list[str]:
        reasons = super().unsupported(spec)
        if spec.tracker == "mlflow":
            reasons.append(
                f"{self.title} {self.version} with tracker mlflow: it knows TensorBoard and "
                "Weights & Biases (tracker can be: tensorboard, wandb, none)"
            )
        return reasons

    def plan(self, spec: ProjectSpec) -> Plan:
        online = spec.algorithm not in OFFLINE
        generation = (spec.generation or self.generations[0]) if online else None
        placement = placed(spec, generation) if generation else None
        if placement and (problems := list(placement.problems(spec))):
            raise InfeasiblePlan(problems)
        asked = _training_part(spec, placement) if placement else spec
        plan = data_parallel_plan(asked, self._trainer(spec, generation))
        settings = _settings(spec, plan, generation, placement)
        apart = placement.generating if placement else 0
        more = self.online_requirements if online else ()
        return plan.model_copy(
            update={
                "gpu_requirements": list(more),
                "compiled_requirements": list(self.compiled_requirements),
                "generation": generation,
                "generation_gpus": apart,
                "generation_tensor_parallel": placement.tensor_parallel if placement else 1,
                "ray": online,
                "ray_cpus": spec.gpus_per_node + DRIVERS if online else 0,
                "node_flags": {}
                if online
                else {"rank": "--node_rank", "address": "--main_address", "port": "--main_port"},
                "smoke_gpus": self.smoke_gpus,
                "updates": settings["updates"] if online else 1,
                "notes": [*plan.notes, *_notes(spec, generation)],
                "settings": settings,
            }
        )

    def _trainer(self, spec: ProjectSpec, generation: str | None) -> Trainer:
        checkpoint = (
            "checkpoints/_actor/global_step*" if generation else "checkpoints/global_step*_hf"
        )
        told = self.trainer(
            spec.algorithm, _cost(spec, generation), usual.learning_rate(spec), usual.details(spec)
        )
        training = told.training.model_copy(update={"checkpoint": checkpoint})
        return replace(
            told,
            training=training,
            # Where the engines are is settled here: to the arithmetic nothing else is on the GPUs.
            generations=("transformers",) if generation else (),
            generated_at_once=0,
            responses=1 if spec.algorithm in ONE_RESPONSE else None,
            whole_epochs=True,
        )


def _training_part(spec: ProjectSpec, placement: Placement) -> ProjectSpec:
    """The machines and GPUs that train, alone."""
    machines = {"nodes": placement.nodes, "gpus_per_node": placement.gpus}
    return spec.model_copy(
        update={**machines, "generation": "transformers", "generation_gpus": None}
    )


def _cost(spec: ProjectSpec, generation: str | None) -> TrainingCost:
    cost = FULL
    if spec.tuning == "lora":
        cost = replace(
            FULL,
            weight_bytes=FULL.weight_bytes * (1 + ADAPTER_SHARE),
            gradient_bytes=FULL.gradient_bytes * ADAPTER_SHARE,
            optimizer_bytes=FULL.optimizer_bytes * ADAPTER_SHARE,
        )
    if spec.algorithm == "ppo" and generation != "vllm_server":  # and a critic beside it
        cost = TrainingCost(
            2 * FULL.weight_bytes, 2 * FULL.gradient_bytes, 2 * FULL.optimizer_bytes
        )
    if usual.kl_coefficient(spec):
        cost = replace(cost, weight_bytes=cost.weight_bytes + FULL.weight_bytes)
    pairs = spec.algorithm in {"dpo", "rm"}
    return replace(cost, sequences_per_row=2 if pairs else 1, has_logits=spec.algorithm != "rm")


def _settings(
    spec: ProjectSpec, plan: Plan, generation: str | None, placement: Placement | None
) -> dict[str, object]:
    responses = plan.responses or 1
    updates = 1 if spec.algorithm in ON_POLICY else UPDATES
    modules = {"sft": "train_sft", "dpo": "train_dpo", "rm": "train_rm"}
    found: dict[str, object] = {
        "title": TITLES[spec.algorithm],
        "module": modules.get(spec.algorithm, "train_ppo_ray"),
        "rows": "pairs" if plan.dataset_kind == "preference" else "rows",
        "zero_stage": int(plan.sharding.removeprefix("zero")),
        "sharding_words": SHARDING_WORDS[plan.sharding],
        "placement_words": PLACEMENT_WORDS.get(generation or "", ""),
        "updates": updates,
        "prompts_per_step": plan.global_batch_size // responses * updates,
        "overlong_buffer": math.ceil(spec.completion_length / 4),
    }
    if placement is not None:
        found |= {
            "actor_nodes": placement.nodes,
            "actor_gpus": placement.gpus,
            "engines": placement.engines,
        }
    return found


def _notes(spec: ProjectSpec, generation: str | None) -> Iterable[str]:
    if spec.nodes > 1:
        yield ("All machines must see the project, the model and output_dir under the same paths.")
    if generation == "vllm_colocate":
        yield "Weights and optimizer states rest in the memory of the machine while it generates."
    if generation == "vllm_async":
        yield "Responses may be of a model that is one step older than the one that they train."


FRAMEWORK = OpenRlhf()
