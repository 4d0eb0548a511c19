"""What the user may choose, and nothing else."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from scaffolder.errors import InvalidAnswers, MissingAnswers
from scaffolder.vocabulary import (
    Algorithm,
    Generation,
    Pattern,
    RowsWithTools,
    Sharding,
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
    rows_with_tools: RowsWithTools | None = None
    """What becomes of rows that speak of tools. They are refused when absent."""


class ProjectSpec(Sampling, Training, Machines):
    """The user's choices; what follows from them is the `Plan`."""

    project_name: Annotated[str, AfterValidator(_project_name)]
    """Name of the project and of its runs."""
    framework: str = Field(max_length=LONGEST_NAME)
    """Name of an adapter; discovery knows which there are."""
    algorithm: Algorithm
    pattern: Pattern = "direct"


REQUIRED = tuple(name for name, field in ProjectSpec.model_fields.items() if field.is_required())


def default(name: str) -> Any:
    """The default of one answer, for showing it in a question."""
    return ProjectSpec.model_fields[name].default


def may_be_absent(name: str) -> bool:
    """Whether an answer follows from the others when it is not given."""
    field = ProjectSpec.model_fields.get(name)
    return field is not None and field.default is None


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
        near = difflib.get_close_matches(name, ProjectSpec.model_fields, n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"known: {', '.join(ProjectSpec.model_fields)}"
        )
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
