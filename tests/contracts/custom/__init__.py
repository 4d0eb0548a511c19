"""The trainer in the template: its own settings."""

NOT_RUN = {
    "training": "the tool's own tests train it, on a CPU",
    "GPUs": "this machine has none: bf16, FSDP2 over NCCL",
}
