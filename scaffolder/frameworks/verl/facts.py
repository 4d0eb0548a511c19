"""What is true of verl 0.9.1 and of the projects rendered for it, for `compare`."""

from scaffolder.frameworks.contract import Fact

READ = "2026-11-25"
WHEEL = "wheel verl 0.9.1"
RENDERED = "the template of rl-scaffolder"

FACTS = (
    Fact("licence", "Apache-2.0", WHEEL, READ),
    Fact("config", "Hydra tree, about 900 keys", WHEEL, READ),
    Fact(
        "scale",
        "its documentation: 671 billion weights on 96 GPUs, settings for up to 512, with Megatron; "
        "expert parallelism is yours to set",
        "docs/perf/dpsk.md of verl-project/verl at v0.9.0; README in the wheel verl 0.9.1",
        READ,
        grade=2,
    ),
    Fact(
        "few_gpus",
        "LoRA, and states that rest in the machine's memory meanwhile; no weights in 4 bits",
        RENDERED,
        READ,
        grade=1,
    ),
    Fact(
        "tools",
        "its agent loop runs functions of yours that the config names (function_tool_path); with "
        "none, as rendered, rows with tools are refused or dropped",
        RENDERED,
        READ,
        grade=1,
    ),
    Fact(
        "hugging_face",
        "models and tokenizers of transformers; trainer, workers and config are its own",
        WHEEL,
        READ,
        grade=1,
    ),
    Fact(
        "readable",
        "trainer, workers and engines of the package, driven by a config (trainer_base.py: 2,000 "
        "lines)",
        WHEEL,
        READ,
        grade=0,
    ),
    Fact("own_system", "it trains with verl's trainers", RENDERED, READ, grade=0),
    Fact("cpu", "its trainer needs a GPU, `make smoke` too", RENDERED, READ, grade=0),
    Fact(
        "pip",
        "pip with FSDP2 and vLLM, after compiling flash-attn; Megatron and SGLang only in its "
        "containers; Python 3.10 to 3.12",
        WHEEL,
        READ,
        grade=1,
    ),
    Fact(
        "amd",
        "verl runs on MI300X, MI325X and MI355X in another container; what projects pin is for "
        "NVIDIA",
        "README in the wheel verl 0.9.1",
        READ,
        grade=1,
    ),
)
