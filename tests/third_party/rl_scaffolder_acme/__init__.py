"""The adapter of the Acme trainer for rl-scaffolder."""

from pathlib import Path

from scaffolder.frameworks import Fact, Framework
from scaffolder.memory import TrainingCost
from scaffolder.plan import Plan
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.trainer import Trainer

HERE = Path(__file__).parent
SOURCE, READ = "https://acme.example/docs", "2026-11-25"
# Weights, gradients and AdamW in float32.
COST = TrainingCost(weight_bytes=4, gradient_bytes=4, optimizer_bytes=8)
TRACKERS = ("tensorboard", "none")


class Acme(Framework):
    name = "acme"
    title = "Acme"
    homepage = "https://acme.example"
    version = "1.0"
    requirements = ("torch==2.13.0", "transformers==5.23.0")
    algorithms = {"sft": "sft"}
    topologies = ("local",)
    patterns = ("direct",)
    shardings = ("ddp",)
    unavailable = {"dpo": "Acme trains on one sequence at a time and compares none"}
    config_keys = {
        "model": "model_name_or_path",
        "output": "output_dir",
        "tracker": "tracker",
    }
    facts = (
        Fact("licence", "proprietary", SOURCE, READ),
        Fact("cpu", "`make smoke`: rollouts to a model on a CPU", SOURCE, READ, grade=2),
        Fact("amd", "Acme runs on their GPUs too", SOURCE, READ, grade=2),
    )
    overlay = HERE / "overlay"
    overlay_history = HERE / "overlay.bundle"
    schemas = HERE / "schemas"

    def unsupported(self, spec: ProjectSpec) -> list[str]:
        """What the lists above cannot say, beside what they do."""
        reasons = super().unsupported(spec)
        if spec.nodes * spec.gpus_per_node > 1:
            reasons.append(f"{self.title} {self.version} trains on one GPU of one machine")
        if spec.tracker not in TRACKERS:
            reasons.append(f"{self.title}: tracker can be {' or '.join(TRACKERS)}")
        return reasons

    def plan(self, spec: ProjectSpec) -> Plan:
        plan = data_parallel_plan(
            spec,
            Trainer(
                cost=COST,
                dataset_kind=self.algorithms[spec.algorithm],
                framework_version=self.version,
                requirements=self.requirements,
                shardings=self.shardings,
            ),
        )
        return plan.model_copy(
            update={
                # It runs one row at a time, whatever would fit.
                "micro_batch_size": 1,
                "accumulation_steps": plan.global_batch_size,
                "settings": {
                    "learning_rate": 1e-5,
                    "epochs_key": "epochs",
                    "length_keys": "`max_length`",
                    "resume": "--resume",
                    "override": "--check_only",
                },
            }
        )


FRAMEWORK = Acme()
