"""A trainer of one's own: plain torch and transformers, rendered into the project to be changed."""

from scaffolder.frameworks import Fact, Framework
from scaffolder.plan import Plan, TrainingCost, data_parallel_plan
from scaffolder.spec import ProjectSpec

READ = "2026-11-22"
SOURCE = "the template of rl-scaffolder"

# Master weights, gradients and AdamW in float32.
COST = TrainingCost(state_bytes=16)


class Custom(Framework):
    name = "custom"
    title = "Custom"
    homepage = "https://pytorch.org"
    version = "1.0"
    requirements = (
        "torch==2.13.0",
        "transformers==5.23.0",
        "pydantic==2.14.3",
    )
    algorithms = {"sft": "sft"}
    topologies = ("local",)
    patterns = ("direct",)
    facts = (
        Fact("licence", "yours", SOURCE, READ),
        Fact("installation", "pip, Python 3.11 or newer", SOURCE, READ),
        Fact("training backends", "one process, FSDP2 through torchrun", SOURCE, READ),
        Fact("config", "small YAML, unknown keys refused", SOURCE, READ),
        Fact("best for", "custom or proprietary systems", "design of rl-scaffolder", READ),
    )

    def plan(self, spec: ProjectSpec) -> Plan:
        plan = data_parallel_plan(
            spec,
            cost=COST,
            dataset_kind=self.algorithms[spec.algorithm],
            framework_version=self.version,
            requirements=self.requirements,
        )
        processes = f"--nproc_per_node={plan.world_size}"
        launcher = ["-m", "torch.distributed.run", "--standalone", processes]
        settings = {
            "learning_rate": 1e-5,
            "epochs_key": "epochs",
            "resume": "--resume",
            "override": "--set learning_rate=2e-5",
        }
        return plan.model_copy(update={"launcher": launcher, "settings": settings})


FRAMEWORK = Custom()
