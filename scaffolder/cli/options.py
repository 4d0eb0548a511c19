"""Options that several commands share. Each name is that of an answer, or of what it gives.

Values stay text here: the spec converts and judges them, together and in words.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scaffolder import vocabulary

CHOICES = "Choices"
RUN = "How to run"


def one_of(words: Iterable[str]) -> Any:
    """Completion with a closed list of words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def _complete_framework(incomplete: str) -> list[str]:
    from scaffolder.frameworks import names

    return [name for name in names() if name.startswith(incomplete)]


def _choice(words: Iterable[str], explained: str) -> Any:
    return typer.Option(help=explained, autocompletion=one_of(words), rich_help_panel=CHOICES)


def _value(explained: str, metavar: str | None = None) -> Any:
    return typer.Option(help=explained, metavar=metavar, rich_help_panel=CHOICES)


Framework = Annotated[
    str | None,
    typer.Option(
        help="Training framework.", autocompletion=_complete_framework, rich_help_panel=CHOICES
    ),
]
Algorithm = Annotated[str | None, _choice(vocabulary.ALGORITHMS, "What to do with the data.")]
Pattern = Annotated[
    str | None,
    _choice(vocabulary.PATTERNS, "How data, training and generation follow each other."),
]
Topology = Annotated[str | None, _choice(vocabulary.TOPOLOGIES, "Where the GPUs are.")]
Nodes = Annotated[str | None, _value("Machines.", "N")]
GpusPerNode = Annotated[str | None, _value("GPUs of one machine.", "N")]
GpuMemory = Annotated[str | None, _value("Memory of one GPU, GiB.", "GIB")]
Tuning = Annotated[str | None, _choice(vocabulary.TUNINGS, "All weights, or adapters.")]
Sharding = Annotated[
    str | None, _choice(vocabulary.SHARDINGS, "What the training processes share.")
]
Generation = Annotated[
    str | None, _choice(vocabulary.GENERATIONS, "What generates, for online algorithms.")
]
Model = Annotated[str | None, _value("Hugging Face id or local folder.")]
Rollouts = Annotated[str | None, _value("Rollouts, a file or folder.", "PATH")]
Keys = Annotated[
    str | None,
    _value('Other names in your rollouts: "prompt=problem ground_truth=solution".', "NAMES"),
]
Tracker = Annotated[str | None, _choice(vocabulary.TRACKERS, "Where the loss curve goes.")]
AnswersFile = Annotated[Path | None, _value("Answers as YAML or JSON; flags win.", "FILE")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other answer.", rich_help_panel=CHOICES),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Ask nothing; take defaults.", rich_help_panel=RUN)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for scripts.", rich_help_panel=RUN)
]

FLAGS = (
    "framework",
    "algorithm",
    "pattern",
    "topology",
    "nodes",
    "gpus_per_node",
    "gpu_memory",
    "tuning",
    "sharding",
    "generation",
    "model",
    "rollouts",
    "keys",
    "tracker",
)
"""The answers that have an option of their own; all others are given with `--set`."""


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answers among a command's arguments, which its `locals()` gives."""
    return {name: arguments[name] for name in FLAGS if arguments.get(name) is not None}


def command(answers: Mapping[str, Any], directory: str | None = None) -> str:
    """The `new` command that makes a project of these answers without a question.

    Answers that are the default are left out.
    """
    from scaffolder import spec

    defaults = {name: spec.default(name) for name in answers if name not in spec.REQUIRED}
    said = {name: str(value) for name, value in answers.items() if value is not None}
    said = {name: value for name, value in said.items() if value != str(defaults.get(name))}
    flags = [word for name in FLAGS if name in said for word in _as_flag(name, said[name])]
    others = [f"{name}={value}" for name, value in said.items() if name not in FLAGS]
    words = [*flags, *(word for each in others for word in ("--set", each)), "--yes"]
    return shlex.join(["rl-scaffolder", "new", *([directory] if directory else []), *words])


def _as_flag(name: str, value: str) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
