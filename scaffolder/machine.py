"""What this machine has and what is in use on it."""

import os
import shutil
import socket
import subprocess
from pathlib import Path


def found(path: str) -> Path | None:
    """A file or folder of this machine; None where there is none, or nobody may look."""
    try:
        there = Path(path).expanduser()
        return there if there.exists() else None
    except (OSError, RuntimeError):  # the latter of a home of nobody: ~nobody/models
        return None


def visible_gpus() -> int | None:
    """GPUs that a launch would see; None where there is no driver to ask."""
    if shutil.which("nvidia-smi") is None:
        return None
    ask = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    if chosen := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return sum(bool(each.strip()) for each in chosen.split(","))
    # Without a driver nvidia-smi says so where the numbers would stand.
    return sum(line.strip().isdigit() for line in answer.splitlines())


def is_taken(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False
