"""What TRL 1.16.0, transformers and Accelerate refuse once the GPUs are waiting."""

from collections.abc import Iterator
from itertools import chain

from scaffolder import code
from scaffolder.frameworks.trl import batches, training
from scaffolder.frameworks.trl.values import HERE, Values
from scaffolder.machine import is_taken
from scaffolder.project import Config, Finding, Project
from scaffolder.schema import load

ACCELERATE = "accelerate_config.yaml"
FSDP = "fsdp_config"


def check(project: Project) -> Iterator[Finding]:
    accelerate = project.yaml(ACCELERATE)
    if not accelerate.problem:
        yield from _processes(project, accelerate)
        yield from _sharding(project, accelerate)
    processes = _count(project, accelerate, "num_processes") or project.plan.world_size
    for config in project.configs:
        if not config.problem:
            values = Values(project, config, 1 if config.is_smoke else processes)
            looks = (batches.check, training.check, _code)
            yield from chain.from_iterable(look(values) for look in looks)
    yield from _group_port(project)


def _count(project: Project, accelerate: Config, name: str) -> int | None:
    schema = load(HERE, project.plan.framework_version)
    key = schema.key(ACCELERATE, name) if schema else None
    found = key.number(accelerate.get(name, key.default)) if key else accelerate.get(name)
    return found if isinstance(found, int) and found > 0 else None


def _processes(project: Project, accelerate: Config) -> Iterator[Finding]:
    """World counts training GPUs only; the others belong to the generation server."""
    plan = project.plan
    said = _count(project, accelerate, "num_processes")
    if said != plan.world_size:
        others = f", beside {plan.generation_gpus} that generate" if plan.generation_gpus else ""
        shown = accelerate.get("num_processes")
        yield accelerate.finding(
            "error" if said is None or said > plan.world_size else "warning",
            "num_processes",
            f"num_processes is {shown}, and {plan.world_size} GPU(s) were planned to train{others}",
            f"Write {plan.world_size}, or render the project for other GPUs.",
        )
    machines = accelerate.get("num_machines", 1)
    if machines != plan.training_nodes:
        yield accelerate.finding(
            "error",
            "num_machines",
            f"num_machines is {machines}, and {plan.training_nodes} were planned to train",
            f"Write {plan.training_nodes}.",
        )


def _sharding(project: Project, accelerate: Config) -> Iterator[Finding]:
    """Source: `FullyShardedDataParallelPlugin.__post_init__`, `DeepSpeedPlugin`."""
    said = accelerate.get("distributed_type")
    planned = project.plan.settings.get("distributed_type", said)
    if said != planned and not (said is False and planned == "NO"):
        problem = f"distributed_type is {said}, and {planned} was planned"
        yield accelerate.finding("error", "distributed_type", problem, f"Write {planned}.")
    if said == "FSDP":
        yield from _fsdp(accelerate)
    file = accelerate.get("deepspeed_config.deepspeed_config_file")
    if isinstance(file, str) and not (project.path / file).is_file():
        key = "deepspeed_config.deepspeed_config_file"
        yield accelerate.finding("error", key, f"{file} is not there", "Correct the path.")


def _fsdp(accelerate: Config) -> Iterator[Finding]:
    def get(name: str, default: str) -> tuple[str, str]:
        """A value as text in lower case, and the key, which may be without its beginning."""
        key = f"{FSDP}.{name}" if accelerate.entry(f"{FSDP}.{name}") else f"{FSDP}.fsdp_{name}"
        return key, str(accelerate.get(key, default)).lower()

    version = get("version", "1")[1]
    truths = {"true", "yes", "on", "y", "t", "1", "false", "no", "off", "n", "f", "0"}
    key, reshard = get("reshard_after_forward", "true")
    if version == "2" and reshard not in truths:
        problem = f"{key} is {reshard}, and FSDP2 takes true or false"
        yield accelerate.finding("error", key, problem, "Write true.")
    if version == "1":
        problem = "FSDP1 was not planned, and shards in another way"
        key, _ = get("version", "1")
        yield accelerate.finding("error", key, problem, "Write 2.")
    key, kept = get("state_dict_type", "sharded_state_dict")
    if version == "2" and kept == "local_state_dict":
        problem = "FSDP2 has no LOCAL_STATE_DICT"
        yield accelerate.finding("error", key, problem, "Write FULL_STATE_DICT.")
    (key, offload), (_, checkpointing) = (
        get(f"activation_checkpointing{end}", "false") for end in ("_offload", "")
    )
    if offload == "true" and checkpointing != "true":
        problem = "activations that are not computed again cannot be offloaded"
        yield accelerate.finding("error", key, problem, "Remove it.")


def _code(values: Values) -> Iterator[Finding]:
    """Functions and classes that the config names."""
    if not values.online:
        return
    for key, default, arguments in (("rewards", "score", 4), ("environment", "", 0)):
        name = values.get(key)
        if isinstance(name, str):
            problem = code.problem_of(values.project.path, name, default, arguments)
            if problem:
                yield values.error(key, f"{key}: {problem}", "Correct the name, or write it.")


def _group_port(project: Project) -> Iterator[Finding]:
    """Through which the trainer sends its weights to the server."""
    server = project.plan.server
    if server is None or project.config.problem:
        return
    port = Values(project, project.config, 1).count("vllm_group_port")
    problem = None
    if port == server.port:
        problem = f"port {port} is that of the server itself"
    elif port is not None and is_taken(port):
        problem = f"port {port}, through which weights reach the server, is in use here"
    if problem:
        remedy = "Set vllm_group_port to a free one."
        yield project.config.finding("error", "vllm_group_port", problem, remedy)
