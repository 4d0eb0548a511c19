"""TRL and the packages that it trains with: parser, datasets, Accelerate, DeepSpeed's config."""

from scaffolder.frameworks.trl import FRAMEWORK

REQUIREMENTS = sorted(
    {
        each
        for packages in (FRAMEWORK.extra_requirements, FRAMEWORK.gpu_requirements)
        for word in ("qlora", "zero3")
        for each in packages.get(word, ())
    }
)
ENVIRONMENT = {"DS_BUILD_OPS": "0"}
"""DeepSpeed compiles its kernels where they are first used, which is not here."""
NOT_RUN = {
    "vLLM, colocated and as a server": "needs a GPU; flags and requirements are checked",
    "QLoRA": "weights in 4 bits need a GPU; the config is parsed",
    "DeepSpeed": "its launcher needs GPUs; the plugin is built from the config",
    "resolving with vLLM": "pip downloads it (0.7 GB) where the index has no separate metadata; "
    "it resolved on 2026-11-24",
    "training": "the tool's own tests train every algorithm, on a CPU",
}
