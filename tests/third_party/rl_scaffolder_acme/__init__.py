"""The adapter of the Acme trainer for rl-scaffolder."""

from pathlib import Path

from scaffolder.frameworks import Fact, Framework
from scaffolder.memory import TrainingCost
from scaffolder.plan import ConfigKeys, Plan
from scaffolder.planning import data_parallel_plan
from scaffolder.spec import ProjectSpec
from scaffolder.vocabulary import Algorithm

HERE = Path(__file__).parent
SOURCE, READ = "https://acme.example/docs", "2026-11-25"
# Weights, gradients and AdamW in float32.
COST = TrainingCost(weight_bytes=4, gradient_bytes=4, optimizer_bytes=8)
LEARNING_RATE = 1e-5
TRACKERS = ("tensorboard", "none")


class Acme(Framework):
    name = "acme"
    title = "Acme"
    homepage = "https://acme.example"
    version = "1.0"
    requirements = ("torch==2.13.0", "transformers==5.23.0")
    algorithms = ("sft",)
    topologies = ("local",)
    patterns = ("direct",)
    shardings = ("ddp",)
    unavailable = {"dpo": "Acme trains on one sequence at a time and compares none"}
    facts = (
        Fact("licence", "proprietary", SOURCE, READ),
        Fact("cpu", "`make smoke`: rollouts to a model on a CPU", SOURCE, READ, grade=2),
        Fact("amd", "Acme runs on their GPUs too", SOURCE, READ, grade=2),
    )
    overlay = HERE / "overlay"
    overlay_history = HERE / "overlay.bundle"

    def keys(self, algorithm: Algorithm) -> ConfigKeys:
        return ConfigKeys(
            algorithm="algorithm",
            model="model_name_or_path",
            output="output_dir",
            tracker="tracker",
            learning_rate="learning_rate",
            epochs="epochs",
            lengths=("max_length",),
        )

    def unsupported(self, spec: ProjectSpec) -> list[str]:
        """What the lists above cannot say, beside what they do."""
        reasons = super().unsupported(spec)
        if spec.nodes * spec.gpus_per_node > 1:
            reasons.append(f"{self.title} {self.version} trains on one GPU of one machine")
        if spec.tracker not in TRACKERS:
            reasons.append(f"{self.title}: tracker can be {' or '.join(TRACKERS)}")
        return reasons

    def plan(self, spec: ProjectSpec) -> Plan:
        plan = data_parallel_plan(spec, self.trainer(spec.algorithm, COST, LEARNING_RATE))
        # It runs one row at a time, whatever would fit.
        rows = {"micro_batch_size": 1, "accumulation_steps": plan.global_batch_size}
        return plan.model_copy(update=rows)


FRAMEWORK = Acme()
