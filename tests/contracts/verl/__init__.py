"""verl and what it needs on a CPU: its Hydra tree, registries, datasets, and SFT trainer."""

PACKAGES = ()
"""Nothing as it is pinned for GPUs: that brings vLLM, flash-attn and CUDA."""
WITHOUT_DEPENDENCIES = ("verl==0.9.1",)
REQUIREMENTS = (
    "TransferQueue==0.1.11",
    "accelerate==1.15.0",
    "aiohttp==3.14.5",
    "cachetools==8.0.1",
    "codetiming==1.4.0",
    "datasets==5.2.0",
    "dill==0.4.1",
    "fastapi==0.165.0",
    "hydra-core==1.3.8",
    "numpy==2.4.6",
    "omegaconf==2.3.1",
    "orjson==3.13.0",
    "packaging==25.0",
    "pandas==3.1.1",
    "peft==0.21.2",
    "pillow==13.0.0",
    "pylatexenc==2.11",
    "pyzmq==27.3.0",
    "ray==2.60.0",
    "tensorboard==2.21.0",
    "tensordict==0.10.0",
    "torch==2.13.0",
    "torchdata==0.11.0",
    "transformers==5.9.0",
    "uvicorn==0.54.0",
)
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "TOKENIZERS_PARALLELISM": "false"}
NOT_RUN = {
    "generation and updates of online training": "they need GPUs and vLLM or SGLang; main_ppo runs "
    "until it asks Ray for a GPU",
    "Megatron": "its packages are in no index; its configs are composed and validated",
    "installing verl[vllm] and flash-attn": "gigabytes, and CUDA's compiler; they resolved on "
    "2026-11-25",
    "NeMo Gym's recipe": "pinned to other versions of verl and vLLM, and to GPUs",
}
