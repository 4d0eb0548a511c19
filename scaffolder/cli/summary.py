"""What will be written, in numbers, and what comes after it."""

import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaffolder.plan import Plan
    from scaffolder.render import Project
    from scaffolder.rollouts import Inspection
    from scaffolder.spec import ProjectSpec


def look(spec: "ProjectSpec", *, warn: bool) -> "Inspection | None":
    """A glance at the rollouts; where there are none, that is said.

    Args:
        warn: whether the user named them, and so may have meant another path.
    """
    from scaffolder import machine, rollouts
    from scaffolder.cli import output

    if not warn and machine.found(spec.rollouts) is None:
        return None
    found = rollouts.look(spec.rollouts, spec.keys or "")
    if isinstance(found, rollouts.Inspection):
        return found
    said = f"warning: {found.problem} {found.remedy}"
    print(output.fitted(said, sys.stderr), file=sys.stderr)
    return None


def show(
    directory: Path, spec: "ProjectSpec", plan: "Plan", found: "Inspection | None" = None
) -> None:
    """The summary: what was chosen and what follows from it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{spec.project_name} in {directory}")
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in summary(spec, plan, found):
        table.add_row(name, Text(value))
    console = Console()
    console.print(table)
    for note in plan.notes:
        console.print(Text(f"note: {note}"))


def summary(
    spec: "ProjectSpec", plan: "Plan", found: "Inspection | None" = None
) -> list[tuple[str, str]]:
    """Lines of the summary, as (what, value).

    Args:
        found: in the rollouts.
    """
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
        ("model", f"{spec.model}, {_tuning(spec, plan)}"),
        *([("generation", _generation(plan))] if plan.generation else []),
        ("rollouts", spec.rollouts if found else f"{spec.rollouts} (none there yet)"),
        ("one step", _step(plan)),
        ("epochs", f"{spec.epochs:g}"),
        *_decides(plan),
        ("lengths", _lengths(spec, plan)),
        ("memory", memory),
        ("tracker", spec.tracker),
    ]


def _tuning(spec: "ProjectSpec", plan: "Plan") -> str:
    rank = plan.training.lora_rank if plan.training else None
    return "all weights" if spec.tuning == "full" else f"{spec.tuning} of rank {rank}"


def _step(plan: "Plan") -> str:
    """Rows of one optimizer step, and how they are spread."""
    batch, responses = plan.global_batch_size, plan.responses
    rows = {"preference": "pairs", "prompts": "responses"}.get(plan.dataset_kind, "rows")
    whole = f"{batch} {rows}"
    if responses:
        whole = f"{batch // responses} prompts x {responses} responses = {batch}"
    spread = f"{plan.micro_batch_size} per GPU x {plan.accumulation_steps} accumulated"
    said = f"{whole} ({spread} x {plan.data_parallel} GPU(s))"
    times = f"; {plan.updates} steps with what is generated at once" if plan.updates > 1 else ""
    return said + times


def _decides(plan: "Plan") -> "Iterator[tuple[str, str]]":
    """What else decides how a run goes."""
    from scaffolder.vocabulary import WORDS

    run = plan.training
    if run is None:
        return
    after = f", then {run.scheduler}" if run.scheduler else ""
    rises = f", rising for {100 * run.warmup:g} % of the steps" if run.warmup else ""
    yield "learning rate", f"{run.learning_rate:g}{rises}{after}"
    if run.kl_coefficient is not None:
        none = " (the model is not held to what it was)" if not run.kl_coefficient else ""
        yield "KL coefficient", f"{run.kl_coefficient:g}{none}"
    if run.loss is not None:
        yield "loss", f"{run.loss} ({WORDS[run.loss]})"


def _lengths(spec: "ProjectSpec", plan: "Plan") -> str:
    whole = f"{spec.sequence_length} tokens"
    return whole + (f", of them {spec.completion_length} a response" if plan.generation else "")


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


def show_next_steps(directory: Path, project: "Project", plan: "Plan") -> None:
    """What was written and the commands that come next."""
    try:
        shown = directory.relative_to(Path.cwd())
    except ValueError:
        shown = directory
    print(f"\nWrote {len(project.files)} files to {directory}.")
    for said in project.notes:
        print("\n".join(textwrap.wrap(said, 78, break_long_words=False, break_on_hyphens=False)))
    print("Next:\n")
    if str(shown) != ".":
        print(f"  cd {shlex.quote(str(shown))}")
    for command, said in _next(plan):
        print(f"  {command:<16}  # {said}")


def _next(plan: "Plan") -> "Iterator[tuple[str, str]]":
    on_gpus = plan.gpu_requirements or plan.compiled_requirements
    install = "make install-gpu", "what only GPUs can use, where there are some"
    yield "make install", "an environment of its own, with the pinned framework"
    if on_gpus and plan.smoke_gpus:
        yield install
    where = "one GPU" if plan.smoke_gpus else "a CPU"
    yield "make smoke", f"the whole path with a tiny model, on {where}, in minutes"
    if on_gpus and not plan.smoke_gpus:
        yield install
    yield "make train", "filter, prepare and train on your rollouts"
