"""Options that several commands share. Each name is that of an answer, or of what it gives.

Values stay text here: the spec converts and judges them, together and in words.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scaffolder import vocabulary
from scaffolder.explained import ANSWERS

CHOICES = "Choices"
RUN = "How to run"


def one_of(words: Iterable[str]) -> Any:
    """Completion with a closed list of words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def _complete_framework(incomplete: str) -> list[str]:
    from scaffolder.frameworks import names

    return [name for name in names() if name.startswith(incomplete)]


def _choice(name: str, words: Iterable[str]) -> Any:
    listed = list(words)
    explained = f"{ANSWERS[name].short} {', '.join(listed)}."
    return typer.Option(help=explained, autocompletion=one_of(listed), rich_help_panel=CHOICES)


def _value(name: str, metavar: str | None = None) -> Any:
    return typer.Option(help=ANSWERS[name].short, metavar=metavar, rich_help_panel=CHOICES)


Framework = Annotated[
    str | None,
    typer.Option(
        help=ANSWERS["framework"].short,
        autocompletion=_complete_framework,
        rich_help_panel=CHOICES,
    ),
]
"""Which there are is found when help is asked for."""
Algorithm = Annotated[str | None, _choice("algorithm", vocabulary.ALGORITHMS)]
Pattern = Annotated[str | None, _choice("pattern", vocabulary.PATTERNS)]
Topology = Annotated[str | None, _choice("topology", vocabulary.TOPOLOGIES)]
Nodes = Annotated[str | None, _value("nodes", "N")]
GpusPerNode = Annotated[str | None, _value("gpus_per_node", "N")]
GpuMemory = Annotated[str | None, _value("gpu_memory", "GIB")]
Tuning = Annotated[str | None, _choice("tuning", vocabulary.TUNINGS)]
Sharding = Annotated[str | None, _choice("sharding", vocabulary.SHARDINGS)]
Generation = Annotated[str | None, _choice("generation", vocabulary.GENERATIONS)]
Model = Annotated[str | None, _value("model")]
Rollouts = Annotated[str | None, _value("rollouts", "PATH")]
Tracker = Annotated[str | None, _choice("tracker", vocabulary.TRACKERS)]
AnswersFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Answers as YAML or JSON; flags win.", rich_help_panel=CHOICES
    ),
]
Keys = Annotated[str | None, _value("keys", "NAMES")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any other answer, see below.", rich_help_panel=CHOICES
    ),
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


def command(
    answers: Mapping[str, Any],
    directory: str | None = None,
    *,
    all_said: bool = False,
    ask: bool = False,
) -> str:
    """The `new` command that makes a project of these answers without a question.

    Args:
        all_said: also answers that are the default, which are left out else.
        ask: let it ask for what is not said.
    """
    from scaffolder import spec

    defaults = {name: spec.default(name) for name in answers if name not in spec.REQUIRED}
    said = {name: str(value) for name, value in answers.items() if value is not None}
    if not all_said:
        said = {name: value for name, value in said.items() if value != str(defaults.get(name))}
    flags = [word for name in FLAGS if name in said for word in _as_flag(name, said[name])]
    others = [f"{name}={value}" for name, value in said.items() if name not in FLAGS]
    words = [*flags, *(word for each in others for word in ("--set", each))]
    words += [] if ask else ["--yes"]
    return shlex.join(["rl-scaffolder", "new", *([directory] if directory else []), *words])


def wrapped(command: str, width: int = 78) -> str:
    """A command on lines that a narrow terminal shows whole, and a shell reads as one."""
    parts: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        if parts and parts[-1].startswith("--") and not word.startswith("--"):
            parts[-1] += f" {word}"  # an option and its value
        else:
            parts.append(word)
    lines = [f"  {parts[0]}"]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) > width - 3:
            lines.append("   ")
        lines[-1] += f" {part}"
    return " \\\n".join(lines)


def _as_flag(name: str, value: str) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
