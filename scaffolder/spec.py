"""What the user may choose, and nothing else."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from scaffolder.errors import InvalidAnswers, MissingAnswers
from scaffolder.explained import meant
from scaffolder.vocabulary import (
    Algorithm,
    Generation,
    Loss,
    Pattern,
    RowsWithTools,
    Scheduler,
    Sharding,
    Thinking,
    Topology,
    Tracker,
    Tuning,
)

LONGEST = 4096
"""Characters of an answer: no path is longer."""
LONGEST_NAME = 100
SHOWN = 100
"""Characters of a value that a message shows."""
_PROJECT_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


_KEY = re.compile(r"[^\s=]+=[^\s=]+")


def _project_name(value: str) -> str:
    if not _PROJECT_NAME.fullmatch(value):
        raise ValueError(
            "must be letters, digits, '.', '_' and '-', and begin and end with a letter or digit "
            "(it becomes a Python package name); choose one with --set project_name=..."
        )
    if len(value) > LONGEST_NAME:
        raise ValueError(
            f"must be at most {LONGEST_NAME} characters (it becomes part of file names); choose a "
            "shorter one with --set project_name=..."
        )
    return value


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if not value.isprintable():
        raise ValueError("must be one line of printable characters")
    if value != value.strip():
        raise ValueError("must not begin or end with a space")
    if len(value) > LONGEST:
        raise ValueError(f"must be at most {LONGEST} characters")
    return value


OneLine = Annotated[str, AfterValidator(_one_line)]


def _keys(value: str) -> str:
    words = value.split()
    if not words or not all(_KEY.fullmatch(word) for word in words):
        raise ValueError("must be name=key, or several with spaces between: prompt=problem")
    return " ".join(words)


Keys = Annotated[str, AfterValidator(_one_line), AfterValidator(_keys)]


class _Answers(BaseModel):
    """Answers that belong together. Immutable, and without room for others."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Machines(_Answers):
    """Where the GPUs are, and how they are used."""

    topology: Topology = "local"
    nodes: int = Field(default=1, ge=1, le=10_000)
    """Machines."""
    gpus_per_node: int = Field(default=1, ge=1, le=64)
    """GPUs of one machine."""
    gpu_memory: float = Field(default=80, gt=0, le=10_000)
    """Memory of one GPU, GiB."""
    sharding: Sharding | None = None
    """What the training processes share. Follows from model and memory when absent."""


class Training(_Answers):
    """What is trained on what."""

    model: OneLine = "Qwen/Qwen3-0.6B"
    """Hugging Face id, or a local folder."""
    model_billions: float | None = Field(default=None, gt=0, le=100_000)
    """Parameters of the model in billions. Read from the model's name or folder when absent."""
    tuning: Tuning = "full"
    rollouts: OneLine = "rollouts.jsonl"
    """File or folder with the rollouts."""
    keys: Keys | None = None
    """Names that rollouts have for what is read, `prompt=problem ground_truth=solution`."""
    sequence_length: int = Field(default=4096, ge=16, le=10_000_000)
    """Longest row that is trained, tokens; of online algorithms prompt and response together."""
    global_batch_size: int | None = Field(default=None, ge=1, le=1_000_000)
    """Rows per optimizer step over all GPUs: sequences, for preference data pairs, for online
    algorithms responses."""
    epochs: float = Field(default=1, gt=0, le=1000)
    """Passes over the data."""
    tracker: Tracker = "tensorboard"


class Details(_Answers):
    """Of a run what has the same meaning in every framework. What is absent is as usual there for
    the algorithm; what a framework has not is refused."""

    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Highest rate of the optimizer, reached after the warm-up."""
    scheduler: Scheduler | None = None
    """How the rate falls then."""
    warmup: float | None = Field(default=None, ge=0, lt=1)
    """Share of all optimizer steps in which the rate rises."""
    kl_coefficient: float | None = Field(default=None, ge=0, le=100)
    """How strongly the model is held to the one that it was: the weight of the KL term, and beta of
    dpo and kto."""
    loss: Loss | None = None
    """What the loss of grpo is a mean over."""
    temperature: float | None = Field(default=None, gt=0, le=10)
    """At which responses are sampled in training."""
    lora_rank: int | None = Field(default=None, ge=1, le=512)
    """Rank of the adapters of lora and qlora."""
    save_steps: int | None = Field(default=None, ge=1, le=1_000_000)
    """Optimizer steps between checkpoints."""
    eval_steps: int | None = Field(default=None, ge=0, le=1_000_000)
    """Optimizer steps between evaluations on held-out rows; 0: none while training."""
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Of the order of rows and of sampling."""


class Sampling(_Answers):
    """How online algorithms generate; the others ignore it."""

    generation: Generation | None = None
    """What generates. The framework's best choice when absent."""
    generation_gpus: int | None = Field(default=None, ge=1, le=64)
    """GPUs of the generation server, when it has its own."""
    num_generations: int = Field(default=8, ge=2, le=1024)
    """Responses to one prompt, which are compared with each other."""
    completion_length: int = Field(default=1024, ge=1, le=1_000_000)
    """Longest response, tokens."""
    thinking: Thinking = "off"
    """Whether models that can reason before they answer do so."""
    rows_with_tools: RowsWithTools | None = None
    """What becomes of rows that speak of tools. They are refused when absent."""


class ProjectSpec(Details, Sampling, Training, Machines):
    """The user's choices; what follows from them is the `Plan`."""

    project_name: Annotated[str, AfterValidator(_project_name)]
    """Name of the project and of its runs."""
    framework: str = Field(max_length=LONGEST_NAME)
    """Name of an adapter; discovery knows which there are."""
    algorithm: Algorithm
    pattern: Pattern = "direct"


DETAILS = tuple(Details.model_fields)
LIMITS = {"gt": "above", "ge": "from", "lt": "to below", "le": "to"}
REQUIRED = tuple(name for name, field in ProjectSpec.model_fields.items() if field.is_required())


def default(name: str) -> Any:
    """The default of one answer, for showing it in a question."""
    return ProjectSpec.model_fields[name].default


def may_be_absent(name: str) -> bool:
    """Whether an answer follows from the others when it is not given."""
    field = ProjectSpec.model_fields.get(name)
    return field is not None and field.default is None


def takes(name: str) -> str:
    """What an answer can be: its words, or its limits."""
    field = ProjectSpec.model_fields[name]
    kinds = [each for each in (field.annotation, *get_args(field.annotation)) if each]
    words = next((get_args(each) for each in kinds if get_origin(each) is Literal), ())
    limits = {
        word: getattr(limit, word)
        for limit in field.metadata
        for word in LIMITS
        if hasattr(limit, word)
    }
    said = " ".join(f"{LIMITS[word]} {value:.15g}" for word, value in limits.items())
    return ", ".join(words) or said.removeprefix("from ")


def build(answers: Mapping[str, Any]) -> ProjectSpec:
    """Validate answers, as typed or read from a file.

    Raises:
        MissingAnswers: naming every answer that has no default and was not given.
        InvalidAnswers: naming every answer that cannot be used, and why.
    """
    try:
        return ProjectSpec.model_validate(dict(answers))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        said = described(error)
    missing = [str(each["loc"][0]) for each in problems if each["type"] == "missing"]
    if len(missing) < len(problems):
        raise InvalidAnswers(said)
    raise MissingAnswers(missing)


def described(error: ValidationError, *above: str) -> list[str]:
    """What is wrong with each answer, those that are missing last.

    Args:
        above: names of what the answers are in.
    """
    problems = error.errors(include_url=False, include_context=False)
    problems.sort(key=lambda problem: problem["type"] == "missing")
    return [_describe(problem, above) for problem in problems]


def _describe(problem: ErrorDetails, above: Sequence[str] = ()) -> str:
    name = ".".join(map(str, (*above, *problem["loc"])))
    if problem["type"] == "missing":
        return f"{name}: is missing"
    if problem["type"] == "extra_forbidden":
        known = ProjectSpec.model_fields
        near = meant(name) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
        hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
        return f"{name}: no such answer; {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    value = repr(problem["input"])
    value = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
    return f"{name} = {value}: {message[0].lower()}{message[1:]}"


def problem_with(name: str, value: Any) -> str | None:
    """Why one answer cannot be used, whatever the others are; None when it can."""
    probe = dict.fromkeys(REQUIRED, "x") | {"algorithm": "sft", name: value}
    try:
        ProjectSpec.model_validate(probe)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        return _describe(problems[0])
    return None
