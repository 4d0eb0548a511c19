"""What follows from a spec: the numbers that are rendered and saved beside the answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from scaffolder.memory import Memory
from scaffolder.vocabulary import DatasetKind, Generation, Sharding


class Server(BaseModel):
    """A generation server beside the trainer, on GPUs of its own."""

    model_config = ConfigDict(frozen=True)

    command: list[str]
    """Words after the name of the Python interpreter."""
    environment: dict[str, str] = {}
    gpus: int
    """The last ones of the machine, or of the last machine when there are several."""
    port: int
    """Answers on http, and on `/health` when it is ready."""
    address_option: str
    """Option of the training script that takes its address, `http://host:port`."""


class Plan(BaseModel):
    """What follows from a spec by arithmetic; saved in the project beside the answers."""

    model_config = ConfigDict(frozen=True)

    dataset_kind: DatasetKind
    framework_version: str
    requirements: list[str]
    """What pip installs to train."""
    compiled_requirements: list[str] = []
    """What pip compiles after that, against the torch which is installed by then."""
    world_size: int
    """Training processes, one a GPU."""
    training_nodes: int = 1
    """Machines with training processes."""
    data_parallel: int
    """Processes that see different rows."""
    tensor_parallel: int = 1
    """Processes that share one matrix multiplication."""
    pipeline_parallel: int = 1
    """Groups of processes that have some of the layers each."""
    sharding: Sharding
    """What the data-parallel processes share."""
    generation: Generation | None = None
    """What writes responses; absent for offline algorithms."""
    generation_gpus: int = 0
    """GPUs that only generate."""
    generation_tensor_parallel: int = 1
    """GPUs that share one copy of the model while generating."""
    ray: bool = False
    """Whether one process drives all GPUs through Ray, which joins the machines."""
    server: Server | None = None
    global_batch_size: int
    """Rows per optimizer step over all processes."""
    micro_batch_size: int
    """Rows per process per forward."""
    accumulation_steps: int
    """Forwards per optimizer step."""
    memory: Memory | None
    """Absent when the size of the model is not known."""
    launcher: list[str]
    """Words before the name of the training script, on one machine."""
    node_flags: dict[str, str] = {}
    """Options of the launcher that tell one of several machines its `rank`, and the `address` and
    `port` of the first."""
    container: str | None = None
    """Image in which the framework is installed, where pip alone does not bring it or need not."""
    smoke_gpus: int = 0
    """GPUs that the tiny run of `make smoke` needs."""
    notes: list[str] = []
    """What the user should know before launch, one sentence each."""
    settings: dict[str, Any] = {}
    """Values that only this framework's templates read."""
