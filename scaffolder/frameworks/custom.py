"""A trainer of one's own: plain torch and transformers, rendered into the project to be changed."""

from scaffolder.frameworks import Fact, Framework, _custom_checks
from scaffolder.memory import TrainingCost
from scaffolder.plan import Plan
from scaffolder.planning import Trainer, data_parallel_plan
from scaffolder.spec import ProjectSpec

READ = "2026-11-22"
SOURCE = "the template of rl-scaffolder"

# Master weights, gradients and AdamW in float32.
COST = TrainingCost(weight_bytes=4, gradient_bytes=4, optimizer_bytes=8)


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
    config_keys = {
        "algorithm": "algorithm",
        "model": "model_name_or_path",
        "output": "output_dir",
        "tracker": "tracker",
    }
    checks = (_custom_checks.check,)
    facts = (
        Fact("licence", "yours", SOURCE, READ),
        Fact("installation", "pip, Python 3.11 or newer", SOURCE, READ),
        Fact("training backends", "one process, FSDP2 through torchrun", SOURCE, READ),
        Fact("config", "small YAML, unknown keys refused", SOURCE, READ),
        Fact("best for", "custom or proprietary systems", "design of rl-scaffolder", READ),
    )

    def plan(self, spec: ProjectSpec) -> Plan:
        trainer = Trainer(
            cost=COST,
            dataset_kind=self.algorithms[spec.algorithm],
            framework_version=self.version,
            requirements=self.requirements,
            shardings=self.shardings,
        )
        plan = data_parallel_plan(spec, trainer)
        processes = f"--nproc_per_node={plan.world_size // plan.training_nodes}"
        together = (
            ["--standalone"] if plan.training_nodes == 1 else [f"--nnodes={plan.training_nodes}"]
        )
        launcher = ["-m", "torch.distributed.run", *together, processes]
        flags = {"rank": "--node_rank", "address": "--master_addr", "port": "--master_port"}
        settings = {
            "learning_rate": 1e-5,
            "epochs_key": "epochs",
            "resume": "--resume",
            "override": "--set learning_rate=2e-5",
        }
        return plan.model_copy(
            update={"launcher": launcher, "node_flags": flags, "settings": settings}
        )


FRAMEWORK = Custom()
