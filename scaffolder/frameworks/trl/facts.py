"""What is true of TRL 1.16.0 and of the projects rendered for it, for `compare`."""

from scaffolder.frameworks.contract import Fact

READ = "2026-11-25"
WHEEL = "wheel trl 1.16.0"
RENDERED = "the template of rl-scaffolder"
RUN = "docs/verified.md of rl-scaffolder"

FACTS = (
    Fact("licence", "Apache-2.0", WHEEL, READ),
    Fact("config", "flat YAML of dataclass fields", WHEEL, READ),
    Fact(
        "scale",
        "its examples: LoRA of 816 billion weights on 8 machines, GRPO of 70 billion on 5",
        "README in the wheel trl 1.16.0; docs/source/grpo_trainer.md at v1.9.0",
        READ,
        grade=1,
    ),
    Fact(
        "few_gpus",
        "QLoRA, weights in 4 bits, and LoRA (not run on a GPU here)",
        RENDERED,
        READ,
        grade=2,
    ),
    Fact(
        "tools",
        "each online project has an environment with tools that works; run on a CPU",
        RUN,
        READ,
        grade=2,
    ),
    Fact(
        "hugging_face",
        "Hugging Face's own, on transformers' Trainer, Accelerate, datasets and PEFT",
        WHEEL,
        READ,
        grade=2,
    ),
    Fact(
        "readable",
        "train_trl.py makes a trainer of the package and can change it (GRPOTrainer: 3,300 lines)",
        WHEEL,
        READ,
        grade=1,
    ),
    Fact("own_system", "it trains with TRL's trainers", RENDERED, READ, grade=0),
    Fact("cpu", "`make smoke`: rollouts to a model on a CPU", RUN, READ, grade=2),
    Fact("pip", "pip, Python 3.11 or newer", WHEEL, READ, grade=2),
)
