"""What this machine has and what is in use on it: GPUs, ports, models."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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


def model_folders(model: str, beside: Path = Path()) -> Iterator[Path]:
    """Where a model's files are, if they are on this machine: a folder, or the newest snapshot in
    the Hugging Face cache. Source: the cache's documented layout.

    Args:
        beside: from where a relative path is seen.
    """
    try:
        folder = beside / Path(model).expanduser()
        if folder.is_dir():
            yield folder
            return
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            return
        home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
        hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
        repository = hub / f"models--{model.replace('/', '--')}"
        revision = (repository / "refs" / "main").read_text("utf-8").strip()
        yield repository / "snapshots" / revision
    except (OSError, RuntimeError, ValueError):  # also no such user as in ~name
        return


def model_config(model: Any, beside: Path) -> dict[str, Any]:
    """The config.json of a model on this machine; empty where there is none."""
    for folder in model_folders(str(model), beside):
        try:
            found = json.loads((folder / "config.json").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def positions(model: Any, beside: Path) -> int | None:
    """Tokens that a model has positions for, as far as its config is here and says it."""
    config = model_config(model, beside)
    text = config.get("text_config")
    found = config.get("max_position_embeddings")
    if found is None and isinstance(text, dict):
        found = text.get("max_position_embeddings")
    return found if isinstance(found, int) else None
