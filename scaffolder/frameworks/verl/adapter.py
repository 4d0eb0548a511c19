"""verl: reinforcement learning at scale, with Ray, and a generation engine beside the trainer."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from scaffolder.frameworks import Framework
from scaffolder.frameworks.verl import checks, facts, usual
from scaffolder.frameworks.verl.meanings import ONE_RESPONSE, meanings
from scaffolder.frameworks.verl.online import cpus_per_node
from scaffolder.frameworks.verl.sharing import ENGINE_SHARES, Megatron, cost_of, division, planned
from scaffolder.frameworks.verl.values import tree_of
from scaffolder.meaning import Meanings
from scaffolder.plan import ConfigKeys, Plan
from scaffolder.project import Config
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import OFFLINE, SCHEDULERS, Algorithm

ON_POLICY = {"rloo", "reinforce_pp"}
"""Those that take one optimizer step with what was generated; the others UPDATES."""
UPDATES = 4
ENGINES = {"vllm_colocate": "vllm", "sglang_colocate": "sglang"}
IMAGES = {
    "vllm_colocate": "docker.io/verlai/verl:vllm024.latest",
    "sglang_colocate": "docker.io/verlai/verl:sgl0512.latest",
}
TITLES = {
    "sft": "Supervised fine-tuning",
    "ppo": "PPO",
    "grpo": "Group relative policy optimization",
    "rloo": "REINFORCE leave-one-out",
    "reinforce_pp": "REINFORCE++",
    "dapo": "DAPO",
    "gspo": "GSPO",
}
NO_PAIRS = "verl 0.9.1 has no trainer for pairs"
# What verl asks for cannot be installed together; both were resolved on 2026-11-25.
NO_MEGATRON = "verl[megatron] 0.9.1 wants megatron-bridge 0.5.2, which PyPI does not have"
NO_SGLANG = "verl[sglang] 0.9.1 wants sglang 0.5.12, whose transformers 5.6.0 verl itself excludes"


class Verl(Framework):
    name = "verl"
    title = "verl"
    homepage = "https://github.com/verl-project/verl"
    version = "0.9.1"
    requirements = ("verl[verl-core]==0.9.1", "torch==2.11.0", "transformers==5.9.0")
    engine_requirements = ("verl[vllm]==0.9.1", "vllm==0.24.0")
    # Of verl[fsdp]; with the rest of it pip would compile it without torch, and fail.
    compiled_requirements = ("flash-attn==2.8.3",)
    algorithms = ("grpo", "sft", "ppo", "rloo", "reinforce_pp", "dapo", "gspo")
    topologies = ("local",)
    patterns = ("direct",)
    tunings = ("full", "lora")
    shardings = ("fsdp2", "megatron")
    generations = ("vllm_colocate", "sglang_colocate")
    smoke_gpus = 1
    override = "trainer.total_epochs=2"
    checkpoint = "global_step_*"
    unavailable = {
        "dpo": NO_PAIRS,
        "rm": "verl 0.9.1 cannot train reward models",
        "kto": "verl 0.9.1 has no KTO",
        "qlora": "verl 0.9.1 trains adapters beside weights in bfloat16",
        "seed": "verl 0.9.1 shuffles the rows of sft in the same way always",
    }
    checks = (checks.check,)
    facts = facts.FACTS

    def keys(self, algorithm: Algorithm) -> ConfigKeys:
        online = algorithm not in OFFLINE
        return ConfigKeys(
            model="actor_rollout_ref.model.path" if online else "model.path",
            output="trainer.default_local_dir",
            tracker="trainer.logger",
            learning_rate="actor_rollout_ref.actor.optim.lr" if online else "optim.lr",
            epochs="trainer.total_epochs",
            lengths=("data.max_prompt_length", "data.max_response_length")
            if online
            else ("data.max_length",),
        )

    def meanings(self, spec: ProjectSpec, plan: Plan) -> Meanings:
        return {
            **super().meanings(spec, plan),
            **meanings(spec),
        }

    def schema_name(self, config: Config, algorithm: Algorithm) -> str:
        """That of the tree which the config's `defaults` compose."""
        return tree_of(config, algorithm)

    def unsupported(self, spec: ProjectSpec) -> list[str]:
        reasons = super().unsupported(spec)
        if spec.sharding == "megatron" and spec.tuning == "lora":
            reasons.append(
                f"{self.title} {self.version} with sharding megatron: its adapters are those of "
                "Megatron-Bridge, which nothing here can export (tuning can be: full)"
            )
        return reasons

    def plan(self, spec: ProjectSpec) -> Plan:
        megatron = division(spec) if spec.sharding == "megatron" else Megatron()
        trainer = replace(
            self.trainer(
                spec.algorithm,
                cost_of(spec, megatron),
                usual.learning_rate(spec),
                usual.details(spec),
            ),
            requirements=(),
            # Megatron only when it was asked for: it needs a container.
            shardings=("megatron",) if spec.sharding == "megatron" else ("fsdp2",),
            engine_share=ENGINE_SHARES[0],
            engine_sleeps=True,
            states_rest=True,
            responses=1 if spec.algorithm in ONE_RESPONSE else None,
            schedulers=SCHEDULERS if spec.sharding == "megatron" else ("constant", "cosine"),
            whole_epochs=True,
        )
        plan, share = planned(spec, trainer)
        online = plan.generation is not None
        settings = _settings(spec, plan, share)
        pip = plan.sharding == "fsdp2" and plan.generation in {None, "vllm_colocate"}
        return plan.model_copy(
            update={
                "requirements": [*(self.requirements if pip else ()), *plan.requirements],
                "gpu_requirements": list(self.engine_requirements if pip and online else ()),
                "compiled_requirements": list(self.compiled_requirements if pip else ()),
                "container": IMAGES[plan.generation or "vllm_colocate"],
                "tensor_parallel": megatron.tensor,
                "pipeline_parallel": megatron.pipeline,
                "launcher": [] if online else _torchrun(plan),
                "ray": online,
                "ray_cpus": _ray_cpus(spec, plan) if online else 0,
                "node_flags": {}
                if online
                else {"rank": "--node_rank", "address": "--master_addr", "port": "--master_port"},
                "smoke_gpus": self.smoke_gpus,
                "updates": settings["updates"] if online else 1,
                "notes": [*plan.notes, *_notes(spec, plan, settings)],
                "settings": settings,
            }
        )


def _torchrun(plan: Plan) -> list[str]:
    nodes = plan.training_nodes
    together = ["--standalone"] if nodes == 1 else [f"--nnodes={nodes}"]
    return [
        "-m",
        "torch.distributed.run",
        *together,
        f"--nproc_per_node={plan.world_size // nodes}",
    ]


def _settings(spec: ProjectSpec, plan: Plan, share: float | None) -> dict[str, object]:
    online, responses = plan.generation is not None, plan.responses or 1
    held = plan.training is not None and bool(plan.training.kl_coefficient)
    prompts = plan.global_batch_size // responses
    updates = 1 if spec.algorithm in ON_POLICY else UPDATES
    return {
        "title": TITLES[spec.algorithm],
        "rows": "responses" if online else "rows",
        "engine": ENGINES.get(plan.generation or "", ""),
        "responses": responses,
        "prompts_per_update": prompts,
        "prompts_per_step": prompts * updates,
        "updates": updates,
        "tokens_per_gpu": plan.micro_batch_size * spec.sequence_length,
        "holds": held,
        "has_reference": held and spec.tuning == "full",
        "engine_share": share or ENGINE_SHARES[0],
        "offload": online and share is None,
        "storage_units": _storage_units(spec, plan),
        "workers": min(8, spec.gpus_per_node),
        "overlong_buffer": math.ceil(spec.completion_length / 4),
    }


def _storage_units(spec: ProjectSpec, plan: Plan) -> int:
    """Of what carries rollouts from the engines to the trainer; each takes a CPU of Ray."""
    return 1 if plan.world_size == 1 else 2 * spec.nodes


def _ray_cpus(spec: ProjectSpec, plan: Plan) -> int:
    return cpus_per_node(spec.gpus_per_node, spec.nodes, _storage_units(spec, plan))


def _notes(spec: ProjectSpec, plan: Plan, settings: Mapping[str, object]) -> Iterable[str]:
    if plan.sharding == "megatron":
        yield f"{NO_MEGATRON}: training runs in the container, as the project's README says."
    if plan.generation == "sglang_colocate":
        yield f"{NO_SGLANG}: training runs in the container, as the project's README says."
    if spec.nodes > 1:
        yield (
            "All machines must see the project, the model and trainer.default_local_dir under the "
            "same paths."
        )
    if settings["offload"]:
        yield "Weights and optimizer states rest in the memory of the machine while it generates."


FRAMEWORK = Verl()
