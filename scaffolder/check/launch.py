"""GPUs and ports: those of the plan, of the launch scripts, and of this machine."""

import re
from collections.abc import Iterator

from scaffolder import frameworks
from scaffolder.check.script import Script, names, read
from scaffolder.machine import is_taken, visible_gpus
from scaffolder.project import Finding, Project

SERVER = "launch/server.sh"
PORT = r"^port=(\d+)\s*$"


def check(project: Project) -> Iterator[Finding]:
    found = {name: read(project.path, name) for name in names(project)}
    for script in found.values():
        if isinstance(script, Script):
            yield from _taken(project, script)
    yield from _gpus(project)
    server = found.get(SERVER)
    yield from _server(project, server if isinstance(server, Script) else None)


def _taken(project: Project, script: Script) -> Iterator[Finding]:
    """What a script takes of a machine's GPUs."""
    wanted = project.spec.gpus_per_node
    if (said := script.first(r"^wanted=(\S+)")) and said[1] != str(wanted):
        problem = f"{said[1]} GPU(s) of a machine are taken, and {wanted} were planned"
        remedy = f"Write {wanted}, or render the project for other GPUs."
        yield script.finding(problem, remedy, said[0])
    for number, pattern in script.all(r"nvidia-smi\b.*\bgrep -E '([^']+)'"):
        if not _matches(pattern, "0"):
            problem = f"the pattern {pattern} leaves out GPUs as nvidia-smi numbers them"
            yield script.finding(problem, "Write '^[0-9]+$'.", number)
    chosen = script.first(r"^(CUDA_VISIBLE_DEVICES)=")
    if chosen and not script.first(r"(export CUDA_VISIBLE_DEVICES)"):
        problem = "CUDA_VISIBLE_DEVICES is set, and not handed on: all GPUs would be used"
        yield script.finding(problem, "Add `export CUDA_VISIBLE_DEVICES`.", chosen[0])
    parts = _parts(project)
    for number, part in script.all(r"--fields[= ]\"?([^\" ]+)"):
        if parts and part not in parts:
            problem = f"the GPUs {part} of those that were found are no part of the plan"
            yield script.finding(problem, f"It can be {' or '.join(parts)}.", number)
    for number, count in script.all(r"--nproc_per_node[= ](\d+)"):
        planned = project.plan.world_size // project.plan.training_nodes
        if int(count) != planned:
            problem = f"{count} processes are started, and {planned} were planned"
            yield script.finding(problem, f"Write {planned}.", number)


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _parts(project: Project) -> list[str]:
    """Ranges of GPUs that `launch/local.sh` gives to trainer and server."""
    plan = project.plan
    parts = ["1-$wanted"]
    if plan.server and project.spec.nodes > 1:
        parts.append(f"1-{plan.server.gpus}")
    elif plan.server:
        parts += [f"1-{plan.world_size}", f"{plan.world_size + 1}-$wanted"]
    return parts


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


def _served_length(project: Project, script: Script | None) -> Iterator[Finding]:
    """Tokens that the server takes of a row, against those that the config gives it."""
    served = script.first(r"--max-model-len[= ]'?(\d+)") if script else None
    adapter = frameworks.get(project.spec.framework)
    meant = adapter.meanings(project.spec, project.plan).get("sequence_length")
    wanted = meant.read(project.config) if meant else None
    if script and served and isinstance(wanted, int) and int(served[1]) < wanted:
        words = meant.shown if meant else ""
        problem = f"the server takes {served[1]} tokens, and {words} is {wanted}"
        yield script.finding(problem, f"Write {wanted}, or lower it in the config.", served[0])


def _server(project: Project, script: Script | None) -> Iterator[Finding]:
    spec, plan = project.spec, project.plan
    if plan.server is None:
        return
    asked = script.first(PORT) if script else None
    port = int(asked[1]) if asked else plan.server.port
    given = script.first(r"--port[= ]'?(\d+)") if script else None
    if script and given and int(given[1]) != port:
        problem = f"the server is given port {given[1]}, and is waited for on {port}"
        yield script.finding(problem, "Write the same number in both places.", given[0])
    elif is_taken(port):
        yield Finding(
            "error",
            f"port {port}, where the generation server is to answer, is in use here",
            "Stop what listens there (ss -ltnp), or an old server of this project.",
        )
    yield from _served_length(project, script)
    training = plan.world_size // plan.training_nodes
    shared = plan.training_nodes == spec.nodes
    if shared and training + plan.server.gpus > spec.gpus_per_node:
        yield Finding(
            "error",
            f"{training} GPU(s) train and {plan.server.gpus} generate, on a machine with "
            f"{spec.gpus_per_node}: the server and the trainer must not share one",
            "Render it again with more GPUs, or --generation vllm_colocate.",
        )
