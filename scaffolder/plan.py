"""What follows from a spec: the numbers that are rendered and saved beside the answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from scaffolder.memory import Memory
from scaffolder.vocabulary import DatasetKind, Generation, Loss, Scheduler, Sharding


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


class ConfigKeys(BaseModel):
    """Keys of a framework's config by what they hold, with dots where nested; None: it has none."""

    model_config = ConfigDict(frozen=True)

    algorithm: str | None = None
    """The algorithm's name; the schema has the keys of a config under its value."""
    model: str | None = None
    """Hugging Face id or folder."""
    output: str | None = None
    """Folder of the run."""
    tracker: str | None = None
    """One tracker, or a list."""
    learning_rate: str | None = None
    epochs: str | None = None
    """Passes over the data."""
    lengths: tuple[str, ...] = ()
    """Tokens, which together are those of the longest row."""


class Details(BaseModel):
    """What may be chosen of a run by the same names in every framework, as `spec.Details` says;
    None: the framework has no such thing for the algorithm."""

    model_config = ConfigDict(frozen=True)

    scheduler: Scheduler | None = None
    warmup: float | None = None
    kl_coefficient: float | None = None
    loss: Loss | None = None
    temperature: float | None = None
    lora_rank: int | None = None
    save_steps: int | None = None
    eval_steps: int | None = None
    seed: int | None = None


class TrainingRun(Details):
    """What the templates that all frameworks share say of a run."""

    config_keys: ConfigKeys
    learning_rate: float
    resume: str
    """Words after the training script that go on with a run."""
    override: str
    """Words after it that change something, as an example."""
    checkpoint: str
    """Pattern of the folders that hold the checkpoints of a run, `checkpoint-*`."""


class Plan(BaseModel):
    """What follows from a spec by arithmetic; saved in the project beside the answers."""

    model_config = ConfigDict(frozen=True)

    dataset_kind: DatasetKind
    framework_version: str
    requirements: list[str]
    """What pip installs for the smoke run, and to train; nothing that needs a GPU."""
    gpu_requirements: list[str] = []
    """What training needs beside it, and only machines with GPUs can use."""
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
    """Whether one process drives all GPUs through Ray, which joins the machines; the training
    script waits until all have joined."""
    ray_cpus: int = 0
    """CPUs that Ray must have on each machine, where its workers reserve some."""
    server: Server | None = None
    global_batch_size: int
    """Rows per optimizer step over all processes."""
    micro_batch_size: int
    """Rows per process per forward."""
    accumulation_steps: int
    """Forwards per optimizer step."""
    responses: int = 0
    """To one prompt, of online algorithms."""
    updates: int = 1
    """Optimizer steps with the responses that were generated at once."""
    memory: Memory | None
    """Absent when the size of the model is not known."""
    launcher: list[str]
    """Words before the name of the training script, on one machine; none where it starts all
    processes itself."""
    node_flags: dict[str, str] = {}
    """Options of the launcher, or of the training script where there is none, that tell one of
    several machines its `rank`, and the `address` and `port` of the first."""
    container: str | None = None
    """Image in which the framework is installed, where pip alone does not bring it or need not."""
    smoke_gpus: int = 0
    """GPUs that the tiny run of `make smoke` needs."""
    training: TrainingRun | None = None
    """Absent in projects of templates before 0.2.0; planning always gives it."""
    notes: list[str] = []
    """What the user should know before launch, one sentence each."""
    settings: dict[str, Any] = {}
    """Values that only the framework's own templates read."""
