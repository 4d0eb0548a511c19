"""What the machine has against what was planned: GPUs, and the port of a generation server."""

from collections.abc import Iterator

from scaffolder.machine import is_taken, visible_gpus
from scaffolder.project import Finding, Project


def check(project: Project) -> Iterator[Finding]:
    yield from _gpus(project)
    yield from _server(project)


def _gpus(project: Project) -> Iterator[Finding]:
    wanted, visible = project.spec.gpus_per_node, visible_gpus()
    if visible is None:
        problem = f"{wanted} GPU(s) were planned, and this machine has no nvidia-smi to count them"
        yield Finding("note", problem, "Check again where the run will be.")
    elif visible < wanted:
        here = project.spec.topology == "local"
        yield Finding(
            "error" if here else "note",
            f"{wanted} GPU(s) of one machine were planned, and this one shows {visible}",
            f"Render it again with --gpus-per-node {visible}, or check where the run will be."
            if visible
            else "Check again where the run will be.",
        )


def _server(project: Project) -> Iterator[Finding]:
    spec, plan = project.spec, project.plan
    if plan.server is None:
        return
    if is_taken(plan.server.port):
        yield Finding(
            "error",
            f"port {plan.server.port}, where the generation server is to answer, is in use here",
            "Stop what listens there (ss -ltnp), or an old server of this project.",
        )
    training = plan.world_size // plan.training_nodes
    shared = plan.training_nodes == spec.nodes
    if shared and training + plan.server.gpus > spec.gpus_per_node:
        yield Finding(
            "error",
            f"{training} GPU(s) train and {plan.server.gpus} generate, on a machine with "
            f"{spec.gpus_per_node}: the server and the trainer must not share one",
            "Render it again with more GPUs, or --generation vllm_colocate.",
        )
