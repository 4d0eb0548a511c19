"""A trainer of one's own: plain torch and transformers, rendered into the project to be changed."""

from collections.abc import Iterable
from dataclasses import replace

from scaffolder.frameworks import Framework
from scaffolder.frameworks.custom import checks, facts
from scaffolder.frameworks.custom.meanings import meanings
from scaffolder.meaning import Meanings
from scaffolder.memory import TrainingCost
from scaffolder.plan import ConfigKeys, Details, Plan, Server
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Algorithm

LOSS_CHUNK = 1024
"""Tokens whose logits exist at a time."""
GENERATED = 32
"""Responses that transformers writes at once (AT_ONCE of custom_rollouts.py)."""
# Master weights, gradients and AdamW in float32.
COST = TrainingCost(
    weight_bytes=4,
    gradient_bytes=4,
    optimizer_bytes=8,
    logit_tokens=LOSS_CHUNK,
    head_sum_bytes=4,
    autocast=True,
)
KL_COEFFICIENTS = {"dpo": 0.1, "grpo": 0.0}
"""Above 0 the model that it was is kept as well."""
LEARNING_RATES = {"sft": 1e-5, "dpo": 1e-6, "grpo": 1e-6}
ROWS = {"sft": "sequences", "dpo": "pairs", "grpo": "responses"}
TITLES = {
    "sft": "Supervised fine-tuning",
    "dpo": "Direct preference optimisation",
    "grpo": "Group relative policy optimisation",
}
SERVER_PORT = 8000


class Custom(Framework):
    name = "custom"
    title = "Custom"
    homepage = "https://pytorch.org"
    version = "1.0"
    requirements = (
        "torch==2.13.0",
        "transformers==5.23.0",
        "accelerate==1.15.0",  # evaluation spreads a large model over the GPUs with it
        "pydantic==2.14.3",
        "jsonschema-rs==0.61.0",
    )
    server_requirements = ("vllm==0.30.0",)
    algorithms = ("sft", "dpo", "grpo")
    topologies = ("local",)
    patterns = ("direct",)
    generations = ("transformers", "vllm_server")
    unavailable = {
        "eval_steps": "the trainer looks at no held-out rows; `make evaluate` does when it is done"
    }
    override = "--set learning_rate=2e-5"
    checks = (checks.check,)
    facts = facts.FACTS

    def keys(self, algorithm: Algorithm) -> ConfigKeys:  # noqa: ARG002 (the same for all)
        return ConfigKeys(
            algorithm="algorithm",
            model="model_name_or_path",
            output="output_dir",
            tracker="tracker",
            learning_rate="learning_rate",
            epochs="epochs",
            lengths=("max_length",),
        )

    def meanings(self, spec: ProjectSpec, plan: Plan) -> Meanings:
        return {**super().meanings(spec, plan), **meanings(spec)}

    def plan(self, spec: ProjectSpec) -> Plan:
        rate = LEARNING_RATES[spec.algorithm]
        trainer = self.trainer(spec.algorithm, _cost(spec), rate, _details(spec))
        trainer = replace(trainer, copied_to_generate=True, generated_at_once=GENERATED)
        plan = data_parallel_plan(spec, trainer)
        processes = f"--nproc_per_node={plan.world_size // plan.training_nodes}"
        # --standalone ignores the port on which a server on another machine waits for the trainer.
        together = "--standalone" if spec.nodes == 1 else f"--nnodes={plan.training_nodes}"
        return plan.model_copy(
            update={
                "gpu_requirements": list(self.server_requirements if plan.generation_gpus else ()),
                "launcher": ["-m", "torch.distributed.run", together, processes],
                "node_flags": {
                    "rank": "--node_rank",
                    "address": "--master_addr",
                    "port": "--master_port",
                },
                "server": _server(spec, plan),
                "notes": [*plan.notes, *_notes(spec, plan)],
                "settings": {
                    "title": TITLES[spec.algorithm],
                    "rows": ROWS[spec.algorithm],
                    "loss_chunk": LOSS_CHUNK,
                },
            }
        )


def _details(spec: ProjectSpec) -> Details:
    online = spec.algorithm == "grpo"
    return Details(
        scheduler="constant" if online else "cosine",
        warmup=0.03,
        kl_coefficient=KL_COEFFICIENTS.get(spec.algorithm),
        loss="token_mean" if online else None,
        temperature=1.0 if online else None,
        save_steps=20 if online else 100,  # a step of an online algorithm takes minutes
        seed=42,
    )


def _cost(spec: ProjectSpec) -> TrainingCost:
    usual = KL_COEFFICIENTS.get(spec.algorithm)
    held = usual if spec.kl_coefficient is None else spec.kl_coefficient
    cost = replace(COST, weight_bytes=8) if held else COST
    return replace(cost, sequences_per_row=2 if spec.algorithm == "dpo" else 1)


def _notes(spec: ProjectSpec, plan: Plan) -> Iterable[str]:
    if plan.training_nodes > 1:
        yield (
            "Checkpoints have a part from each machine: output_dir must be a folder that all share."
        )
    if plan.generation_gpus and spec.nodes > 1:
        yield (
            "New weights reach the generation server as files: set weights_dir in the config to a "
            "folder that all machines share."
        )


def _server(spec: ProjectSpec, plan: Plan) -> Server | None:
    """vLLM's own server. It reads new weights from a folder, as custom_rollouts.py tells it."""
    if not plan.generation_gpus:
        return None
    options = {
        "--port": str(SERVER_PORT),
        "--tensor-parallel-size": str(plan.generation_tensor_parallel),
        "--gpu-memory-utilization": "0.9",
        "--max-model-len": str(spec.sequence_length),
        "--logprobs-mode": "processed_logprobs",
    }
    words = [word for option in options.items() for word in option]
    return Server(
        command=["-m", "vllm.entrypoints.cli.main", "serve", spec.model, *words],
        # The endpoint that reloads weights is part of the dev mode.
        environment={"VLLM_SERVER_DEV_MODE": "1"},
        gpus=plan.generation_gpus,
        port=SERVER_PORT,
        address_option="--vllm_server_url",
    )


FRAMEWORK = Custom()
