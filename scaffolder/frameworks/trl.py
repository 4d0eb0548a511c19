"""TRL: the trainers of the Hugging Face ecosystem."""

from scaffolder.frameworks import Fact, Framework
from scaffolder.plan import Plan, TrainingCost, data_parallel_plan
from scaffolder.spec import ProjectSpec

READ = "2026-11-22"
SOURCE = "wheel trl 1.16.0"

COSTS = {
    # TRL loads float32 by default: weight 4, gradient 4, AdamW 8 bytes, bf16 only inside autocast.
    "sft": TrainingCost(state_bytes=16),
    # The reference model is a second float32 copy; a pair is two sequences.
    "dpo": TrainingCost(state_bytes=16, frozen_bytes=4, sequences_per_row=2),
}
LEARNING_RATES = {"sft": 1e-5, "dpo": 1e-6}


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
    algorithms = {"sft": "sft", "dpo": "preference"}
    topologies = ("local",)
    patterns = ("direct",)
    unavailable = {
        "ppo": "TRL 1.16.0 no longer has a PPO trainer",
    }
    facts = (
        Fact("licence", "Apache-2.0", SOURCE, READ),
        Fact("installation", "pip, Python 3.11 or newer", SOURCE, READ),
        Fact("training backends", "DDP, FSDP, DeepSpeed through Accelerate", SOURCE, READ),
        Fact("config", "flat YAML of dataclass fields", SOURCE, READ),
        Fact("best for", "the Hugging Face ecosystem", "design of rl-scaffolder", READ),
    )

    def plan(self, spec: ProjectSpec) -> Plan:
        plan = data_parallel_plan(
            spec,
            cost=COSTS[spec.algorithm],
            dataset_kind=self.algorithms[spec.algorithm],
            framework_version=self.version,
            requirements=self.requirements,
        )
        launcher = ["-m", "accelerate.commands.launch", "--config_file", "accelerate_config.yaml"]
        settings = {
            "learning_rate": LEARNING_RATES[spec.algorithm],
            "epochs_key": "num_train_epochs",
            "resume": "--resume_from_checkpoint latest",
            "override": "--learning_rate 2e-5",
        }
        return plan.model_copy(update={"launcher": launcher, "settings": settings})


FRAMEWORK = Trl()
