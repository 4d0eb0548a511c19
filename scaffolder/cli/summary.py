"""What will be written, in numbers, and what comes after it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffolder.plan import Plan
    from scaffolder.spec import ProjectSpec


def show(directory: Path, spec: "ProjectSpec", plan: "Plan") -> None:
    """The summary: what was chosen and what follows from it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{spec.project_name} in {directory}")
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in summary(spec, plan):
        table.add_row(name, Text(value))
    console = Console()
    console.print(table)
    for note in plan.notes:
        console.print(Text(f"note: {note}"))


def summary(spec: "ProjectSpec", plan: "Plan") -> list[tuple[str, str]]:
    """Lines of the summary, as (what, value)."""
    batch = (
        f"{plan.micro_batch_size} per GPU x {plan.accumulation_steps} accumulated "
        f"x {plan.data_parallel} GPU(s) = {plan.global_batch_size}"
    )
    memory = (
        f"about {plan.memory.total:.0f} of {spec.gpu_memory:g} GiB per GPU"
        if plan.memory
        else "not estimated"
    )
    return [
        ("framework", f"{spec.framework} {plan.framework_version}"),
        ("algorithm", f"{spec.algorithm}, on {plan.dataset_kind} data"),
        (
            "where",
            f"{spec.topology}, {spec.nodes} x {spec.gpus_per_node} GPU(s), {_shared(plan)}",
        ),
        ("model", spec.model + ("" if spec.tuning == "full" else f", {spec.tuning}")),
        *([("generation", _generation(plan))] if plan.generation else []),
        ("rollouts", spec.rollouts),
        ("batch", batch),
        ("sequence length", f"{spec.sequence_length} tokens"),
        ("memory", memory),
        ("tracker", spec.tracker),
    ]


def _shared(plan: "Plan") -> str:
    if plan.world_size == 1:
        return "one process"
    words = {
        "ddp": "a copy of the model on each",
        "zero2": "gradients and optimizer split over all (ZeRO-2)",
        "zero3": "the model split over all (ZeRO-3)",
        "fsdp2": "the model split over all (FSDP2)",
        "megatron": "each layer split over several (Megatron)",
    }
    return words[plan.sharding]


def _generation(plan: "Plan") -> str:
    if plan.generation_gpus:
        return f"vLLM on {plan.generation_gpus} GPU(s) of its own, {plan.world_size} train"
    words = {"vllm_colocate": "vLLM", "sglang_colocate": "SGLang"}
    return (
        f"{words[plan.generation]} on the GPUs that train"
        if plan.generation in words
        else "transformers"
    )


def show_next_steps(directory: Path, *, count: int, plan: "Plan") -> None:
    """What was written and the commands that come next."""
    try:
        shown = directory.relative_to(Path.cwd())
    except ValueError:
        shown = directory
    print(f"\nWrote {count} files to {directory}. Next:\n")
    print(f"  cd {shlex.quote(str(shown))}")
    print("  make install    # an environment of its own, with the pinned framework")
    where = "one GPU" if plan.smoke_gpus else "a CPU"
    print(f"  make smoke      # the whole path with a tiny model, on {where}, in minutes")
    print("  make train      # filter, prepare and train on your rollouts")
