"""The trainer in the template: its own settings."""

PACKAGES = ("pydantic",)
"""The settings are free of torch."""
NOT_RUN = {
    "training": "the tool's own tests train it, on a CPU",
    "GPUs": "this machine has none: bf16, FSDP2 over NCCL",
}
