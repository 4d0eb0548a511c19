"""A trainer of one's own: plain torch and transformers, rendered into the project to be changed."""

from collections.abc import Iterable
from dataclasses import replace

from scaffolder.frameworks import Fact, Framework, _custom_checks
from scaffolder.memory import TrainingCost
from scaffolder.plan import Plan, Server
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.trainer import Trainer

READ = "2026-11-25"
SOURCE = "the template of rl-scaffolder"
README = "README.md of rl-scaffolder, what has been verified"

LOSS_CHUNK = 1024
"""Tokens whose logits exist at a time."""
# Master weights, gradients and AdamW in float32.
COST = TrainingCost(weight_bytes=4, gradient_bytes=4, optimizer_bytes=8, logit_tokens=LOSS_CHUNK)
# The reference model as well, and two sequences in a row.
PAIRED = replace(COST, weight_bytes=8, sequences_per_row=2)
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
        "pydantic==2.14.3",
        "jsonschema-rs==0.61.0",
    )
    server_requirements = ("vllm==0.30.0",)
    algorithms = {"sft": "sft", "dpo": "preference", "grpo": "prompts"}
    topologies = ("local",)
    patterns = ("direct",)
    generations = ("transformers", "vllm_server")
    config_keys = {
        "algorithm": "algorithm",
        "model": "model_name_or_path",
        "output": "output_dir",
        "tracker": "tracker",
    }
    checks = (_custom_checks.check,)
    facts = (
        Fact("licence", "the project is yours", SOURCE, READ),
        Fact("config", "small YAML, unknown keys refused", SOURCE, READ),
        Fact(
            "scale",
            "FSDP2, also over several machines; no run of more than two processes is documented",
            README,
            READ,
            grade=0,
        ),
        Fact(
            "few_gpus", "all weights only, 16 to 20 bytes each; no adapters", SOURCE, READ, grade=0
        ),
        Fact("tools", "online, rows with tools are refused or dropped", SOURCE, READ, grade=0),
        Fact(
            "hugging_face",
            "models and tokenizers of transformers; the trainer is plain torch",
            SOURCE,
            READ,
            grade=1,
        ),
        Fact(
            "readable",
            "all of the trainer is in the project, at most 900 lines",
            "tests/test_architecture.py of rl-scaffolder",
            READ,
            grade=2,
        ),
        Fact(
            "own_system",
            "a protocol says what a trainer is, my_trainer.py is one to fill in; data "
            "have a JSON Schema",
            SOURCE,
            READ,
            grade=2,
        ),
        Fact("cpu", "`make smoke`: rollouts to a model on a CPU", README, READ, grade=2),
        Fact("pip", "pip, Python 3.11 or newer", SOURCE, READ, grade=2),
    )

    def plan(self, spec: ProjectSpec) -> Plan:
        trainer = Trainer(
            cost=PAIRED if spec.algorithm == "dpo" else COST,
            dataset_kind=self.algorithms[spec.algorithm],
            framework_version=self.version,
            requirements=self.requirements,
            shardings=self.shardings,
            generations=self.generations,
            copied_to_generate=True,
        )
        plan = data_parallel_plan(spec, trainer)
        processes = f"--nproc_per_node={plan.world_size // plan.training_nodes}"
        together = (
            ["--standalone"] if plan.training_nodes == 1 else [f"--nnodes={plan.training_nodes}"]
        )
        # What a step and a checkpoint may take after SIGTERM; torchrun's own 30 seconds are short.
        together.append("--shutdown_timeout=600")
        extra = self.server_requirements if plan.generation_gpus else ()
        return plan.model_copy(
            update={
                "requirements": [*plan.requirements, *extra],
                "launcher": ["-m", "torch.distributed.run", *together, processes],
                "node_flags": {
                    "rank": "--node_rank",
                    "address": "--master_addr",
                    "port": "--master_port",
                },
                "server": _server(spec, plan),
                "notes": [*plan.notes, *_notes(spec, plan)],
                "settings": {
                    "learning_rate": LEARNING_RATES[spec.algorithm],
                    "epochs_key": "epochs",
                    "resume": "--resume",
                    "override": "--set learning_rate=2e-5",
                    "title": TITLES[spec.algorithm],
                    "rows": ROWS[spec.algorithm],
                    "length_keys": "`max_length`",
                    "loss_chunk": LOSS_CHUNK,
                },
            }
        )


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
        "--host": "0.0.0.0",
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
