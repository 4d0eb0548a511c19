"""What is true of the trainer in the template, for `compare`."""

from scaffolder.frameworks.contract import Fact

READ = "2026-11-25"
SOURCE = "the template of rl-scaffolder"
VERIFIED = "docs/verified.md of rl-scaffolder"

FACTS = (
    Fact("licence", "the project is yours", SOURCE, READ),
    Fact("config", "small YAML, unknown keys refused", SOURCE, READ),
    Fact(
        "scale",
        "FSDP2, also over several machines; no run of more than two processes is documented",
        VERIFIED,
        READ,
        grade=0,
    ),
    Fact("few_gpus", "all weights only, 16 to 20 bytes each; no adapters", SOURCE, READ, grade=0),
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
    Fact("cpu", "`make smoke`: rollouts to a model on a CPU", VERIFIED, READ, grade=2),
    Fact("pip", "pip, Python 3.11 or newer", SOURCE, READ, grade=2),
)
