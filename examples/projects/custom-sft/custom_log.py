"""The progress of a run: a line on the screen, a line of log.jsonl and the tracker, if any."""

import json
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from custom_data import Item
from custom_model import World
from custom_settings import Settings

PEAK_TFLOPS = {
    "A100": 312, "A10": 125, "L40S": 362, "L4": 121, "H100 PCIe": 756, "H100 NVL": 835,
    "H100": 989, "H200": 989, "B200": 2250, "RTX 4090": 165,
}  # fmt: skip
"""Dense bfloat16 of one GPU, as NVIDIA's data sheets have it, by words of its name."""
SHOWN = ("loss", "reward", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "memory_gib")


class RunLog:
    """Collects the steps and writes their means every logging_steps; for one of the processes."""

    def __init__(self, settings: Settings, model: Any, done: int, total: int, world: World) -> None:
        self.every, self.total, self.world = settings.logging_steps, total, world
        self.flops, self.peak = flops_of(model), peak_flops(settings, world.device)
        self.path = settings.output_dir / "log.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        keep_lines_to(self.path, done)
        self.record, self.close = open_tracker(settings, done)
        print(f"{settings.algorithm} in {world.size} process(es) on {world.device.type}")
        self.steps, self.since = list[dict[str, float]](), time.perf_counter()

    def step(self, step: int, values: dict[str, float], items: list[Item]) -> None:
        """After optimizer step number `step` (from 1), which saw these items."""
        lengths = [len(each.tokens) for item in items for each in item]
        work = {"tokens": float(sum(lengths)), "flops": sum(map(self.flops, lengths))}
        self.steps.append(values | work)
        if step % self.every and step != self.total:
            return
        count, seconds = len(self.steps), (time.perf_counter() - self.since) / len(self.steps)
        means = {name: sum(each[name] for each in self.steps) / count for name in self.steps[0]}
        means["step_seconds"] = seconds
        means["tokens_per_second"], flops = means.pop("tokens") / seconds, means.pop("flops")
        means["memory_gib"] = peak_memory(self.world.device)
        if self.peak:
            means["mfu"] = flops / seconds / (self.peak * self.world.size)
        shown = "  ".join(f"{name} {means[name]:.4g}" for name in SHOWN if name in means)
        print(f"step {step}/{self.total}  {shown}", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "total_steps": self.total, **means}) + "\n")
        self.record(means, step)
        self.steps, self.since = [], time.perf_counter()


def flops_of(model: Any) -> Callable[[int], float]:
    """Operations of training on one sequence of so many tokens, without what is computed twice.

    6 for each weight and token, and 12 for each layer, attention width and pair of tokens
    (arXiv:2204.02311, appendix B). The input embedding is looked up, not multiplied.
    """
    config = model.config.get_text_config()
    weights = sum(parameter.numel() for parameter in model.parameters())
    if not config.tie_word_embeddings:
        weights -= model.get_input_embeddings().weight.numel()
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    if experts:  # of a mixture only some compute
        inside = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name)
        weights -= inside * (1 - config.num_experts_per_tok / experts)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 12 * config.num_hidden_layers * config.num_attention_heads * head
    return lambda tokens: (6 * weights + attention * tokens) * tokens


def peak_flops(settings: Settings, device: torch.device) -> float | None:
    """What one GPU can do in a second at most; None where that is not known."""
    if settings.peak_tflops:
        return settings.peak_tflops * 1e12
    known = device.type == "cuda" and settings.dtype == "bfloat16"
    return known_peak(torch.cuda.get_device_name(device)) if known else None


def known_peak(name: str) -> float | None:
    """Of a GPU by its full name, such as NVIDIA A100-SXM4-80GB."""
    parts = (part for part in PEAK_TFLOPS if re.search(rf"\b{part}\b", name))
    return next((PEAK_TFLOPS[part] * 1e12 for part in parts), None)


def peak_memory(device: torch.device) -> float:
    """GiB that this process held at most: of its GPU, or without one of the machine."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return (torch.cuda.max_memory_allocated(device) if device.type == "cuda" else held) / 2**30


def keep_lines_to(path: Path, step: int) -> None:
    """Drop what an interrupted run logged after its last checkpoint: it will be logged again."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if line.endswith("}\n") and json.loads(line)["step"] <= step]
    path.write_text("".join(kept), "utf-8")


def open_tracker(settings: Settings, done: int) -> tuple[Callable[..., object], ...]:
    """(record values at a step, close) of the tracker, for a run that goes on after step done."""
    if settings.tracker == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(settings.output_dir / "tensorboard", purge_step=done + 1)
        add = writer.add_scalar
        return lambda values, step: [add(n, v, step) for n, v in values.items()], writer.close
    if settings.tracker == "wandb":
        import wandb

        run = wandb.init(name=settings.run_name, config=settings.model_dump(mode="json"))
        return run.log, run.finish
    if settings.tracker == "mlflow":
        import mlflow

        mlflow.start_run(run_name=settings.run_name)
        return mlflow.log_metrics, mlflow.end_run
    return lambda *_: None, lambda: None
