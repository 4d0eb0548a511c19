"""OpenRLHF and what it needs on a CPU: its parsers, datasets, executors and offline trainers."""

PACKAGES = ()
"""Nothing as it is pinned for GPUs: that brings vLLM, flash-attn and CUDA."""
WITHOUT_DEPENDENCIES = ("openrlhf==0.11.2",)
"""It asks for flash-attn, which only a machine with CUDA's compiler can build."""
REQUIREMENTS = (
    "accelerate==1.15.0",
    "aiohttp==3.14.5",
    "datasets==5.2.0",
    "deepspeed==0.19.6",
    "einops==0.8.2",
    "jsonlines==4.0.0",
    "numpy==2.4.6",
    "optree==0.20.0",
    "packaging==25.0",
    "peft==0.21.2",
    "pylatexenc==2.11",
    "ray==2.55.0",
    "sympy==1.14.0",
    "tensorboard==2.21.0",
    "torch==2.13.0",
    "torchdata==0.11.0",
    "transformers==5.15.0",
)
ENVIRONMENT = {
    "DS_BUILD_OPS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}
NOT_RUN = {
    "generation and updates of online training": "they need GPUs and vLLM; the parser takes every "
    "command, executors and rewards run with a model that is scripted",
    "ring attention, tensor parallelism, packing": "they need GPUs; their rules are checked",
    "flash-attn, vLLM, the Dockerfile": "gigabytes, and CUDA's compiler",
}
