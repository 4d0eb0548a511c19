"""What is true of OpenRLHF 0.11.2 and of the projects rendered for it, for `compare`."""

from scaffolder.frameworks.contract import Fact

READ = "2026-11-28"
WHEEL = "wheel openrlhf 0.11.2"
RENDERED = "the template of rl-scaffolder"

FACTS = (
    Fact("licence", "Apache-2.0", WHEEL, READ),
    Fact("config", "flags, 77 to 167 a command; here a YAML file of them", WHEEL, READ),
    Fact(
        "scale",
        "its documentation: ZeRO-3, ring attention and vLLM for models of 70 billion and more, on "
        "several machines joined by Ray; only its parser was asked here",
        "README in the wheel openrlhf 0.11.2",
        READ,
        grade=1,
    ),
    Fact(
        "few_gpus",
        "LoRA for sft, dpo and rm; online all models share the GPUs, and rest in the machine's "
        "memory meanwhile",
        RENDERED,
        READ,
        grade=1,
    ),
    Fact(
        "tools",
        "each online project has an environment with tools that its agent executor runs; run on a "
        "CPU with a model that is scripted",
        RENDERED,
        READ,
        grade=2,
    ),
    Fact(
        "hugging_face",
        "models and tokenizers of transformers, trained by DeepSpeed with trainers of its own",
        WHEEL,
        READ,
        grade=1,
    ),
    Fact(
        "readable",
        "trainers of the package, driven by flags (all of it: 12,000 lines)",
        WHEEL,
        READ,
        grade=0,
    ),
    Fact("own_system", "it trains with OpenRLHF's trainers", RENDERED, READ, grade=0),
    Fact("cpu", "its trainers need a GPU, `make smoke` too", RENDERED, READ, grade=0),
    Fact(
        "pip",
        "pip, after compiling flash-attn, which it cannot be installed without; no container is "
        "published, projects bring a Dockerfile; Python 3.10 to 3.12",
        WHEEL,
        READ,
        grade=1,
    ),
)
