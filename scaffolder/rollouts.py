"""What rollouts hold and what they can train, before there is a project.

They are read by the library that projects use, so what is said here is what a project will do.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from scaffolder import frameworks, library, machine
from scaffolder import spec as specs
from scaffolder.errors import UnreadableRollouts, UserError
from scaffolder.uses import Use, Weight, recommended
from scaffolder.uses import uses as uses_of
from scaffolder.vocabulary import OFFLINE, RowsWithTools

GLANCE = 32 * 2**20
"""Bytes that a glance reads, in equal parts of all files."""


@dataclass(frozen=True)
class Inspection:
    """What was found."""

    path: str
    summary: Mapping[str, Any]
    """See `rl_rollouts/survey/summary.py`."""
    findings: tuple[tuple[str, str], ...]
    """Weight (good, note, warning) and sentence."""
    uses: tuple[Use, ...]
    recommended: str | None
    """The algorithm that fits best, of those that can be rendered."""
    counted: str
    """The records, in words: 12 prompts."""
    keys: str = ""
    """Other names that were given, as they are typed."""

    @property
    def with_tools(self) -> int:
        """Prompts that speak of tools."""
        tools: int = self.summary["tasks"]["tools"]
        return tools

    @property
    def command(self) -> str | None:
        """The command that makes a project of it."""
        if self.recommended is None:
            return None
        offered = next(use.frameworks for use in self.uses if use.algorithm == self.recommended)
        choices = f"--framework {frameworks.usual(offered)} --algorithm {self.recommended}"
        keys = f" --keys {shlex.quote(self.keys)}" if self.keys else ""
        return f"rl-scaffolder new {choices} --rollouts {shlex.quote(self.path)}{keys}"

    @property
    def verdict(self) -> str:
        """What a person can do with them."""
        if not self.summary["rollouts"]:
            return f"Nothing of {self.path} can be used. {self._help()}"
        if self.recommended is None:
            return (
                "No algorithm that is offered here can learn from them; see above what is missing."
            )
        first = next(use for use in self.uses if use.algorithm == self.recommended)
        if first.weight == "warning":
            return f"They could feed {first.algorithm}, but: {first.reason}."
        words = f"They can feed {first.algorithm}"
        if others := self._others("good"):
            words += f", and also {others}"
        if others := self._others("note"):
            words += f"; {others} once it is chosen what becomes of rows with tools"
        return f"{words}."

    def _others(self, weight: Weight) -> str:
        """Algorithms of a weight that can be rendered, beside the recommended one."""
        alike = [use for use in self.uses if use.weight == weight and use.frameworks]
        return ", ".join(use.algorithm for use in alike if use.algorithm != self.recommended)

    def _help(self) -> str:
        """What to do with lines in no form that is known."""
        examples = self.summary["examples"].values()
        said = next((each for each in examples if "no form that is known" in each), "")
        if not said:
            return "See the reasons above; the README has the forms that are read."
        named = said.partition("its keys are ")[2]
        return (
            f"The records have the keys {named}. Say which of them hold what is read: "
            "--keys prompt=... response=... reward=... ground_truth=..."
        )

    def as_json(self) -> dict[str, Any]:
        """For scripts; without the samples, which are for reading."""
        summary = {name: value for name, value in self.summary.items() if name != "samples"}
        return {
            "path": self.path,
            "verdict": self.verdict,
            "summary": summary,
            "findings": [{"weight": weight, "text": text} for weight, text in self.findings],
            "algorithms": [asdict(use) for use in self.uses],
            "recommended": self.recommended,
            "command": self.command,
        }


def inspect(path: str, *, glance: bool = False, keys: str = "") -> Inspection:
    """Read rollouts, or the beginning of each file for a glance.

    Args:
        keys: other names of what is read, `prompt=problem ground_truth=solution`.

    Raises:
        UnreadableRollouts: with the reason.
    """
    names = ("survey.look", "survey.findings", "survey.foreign", "errors")
    look, told, foreign, errors = (library.load(name) for name in names)
    try:
        read_as = library.keys(keys)
        limit = GLANCE if glance else None
        summary = look.survey_rollouts([path], limit=limit, keys=read_as).summary()
        form = None if summary.rollouts or path == "-" else foreign.form_of_all(path)
    except errors.UserError as error:
        raise UnreadableRollouts(error.problem, error.remedy) from None
    if form is not None:
        raise UnreadableRollouts(*form)
    import msgspec

    plain = msgspec.to_builtins(summary)
    uses = tuple(uses_of(plain))
    sentences = tuple((each.weight, each.text) for each in told.findings(summary))
    counted = told.named(summary)
    return Inspection(path, plain, sentences, uses, recommended(plain, uses), counted, keys)


@cache
def glance(path: str, keys: str = "") -> Inspection:
    """The beginning of each file, read once.

    Raises:
        UnreadableRollouts: with the reason.
    """
    return inspect(path, glance=True, keys=keys)


def tools_to_choose(answers: Mapping[str, Any]) -> tuple[int, Sequence[RowsWithTools]] | None:
    """How many prompts of the rollouts speak of tools, and what may become of them; None where
    there is nothing to choose, or it was chosen.
    """
    name, algorithm = str(answers.get("framework")), answers.get("algorithm")
    path = machine.found(str(answers.get("rollouts", specs.default("rollouts"))))
    if answers.get("rows_with_tools") or algorithm in OFFLINE or not path:
        return None
    try:
        found = glance(str(path), str(answers.get("keys") or ""))
    except UserError:
        return None
    ways = [way for way in frameworks.get(name).rows_with_tools if way != "refuse"]
    # What runs the tools comes before what leaves them out.
    return (found.with_tools, [*reversed(ways), "refuse"]) if found.with_tools else None


def look(path: str, keys: str = "") -> Inspection | UserError:
    """What is in rollouts at a glance, or why there is nothing to be seen."""
    there = machine.found(path)
    if there is None:
        remedy = "They need not be yet; until then `make train` has nothing to read."
        return UnreadableRollouts(f"There is nothing at {path}.", remedy)
    try:
        found = glance(str(there), keys)
    except UserError as error:
        return error
    if found.summary["rollouts"]:
        return found
    rejected = found.summary["rejected"]
    why = f": {max(rejected, key=rejected.get)}" if rejected else ", it is empty"
    remedy = "`rl-scaffolder inspect` says more."
    return UnreadableRollouts(f"No line of {path} is a rollout{why}.", remedy)


def fitting(path: str, keys: str = "", *, typed: bool = False) -> str | None:
    """The algorithm that fits rollouts, at a glance; None when they are not there or hold none.

    Args:
        typed: whether the user has just named them, so that they have to be there.

    Raises:
        UnreadableRollouts: when those are not, or cannot be read.
    """
    where = machine.found(path)
    if not (where or typed):
        return None
    try:
        return glance(str(where or path), keys).recommended
    except UserError:
        if typed:
            raise
        return None


def tools_online(with_tools: int, prompts: int) -> list[str]:
    """What frameworks do with prompts that speak of tools, a line each."""
    found = [f"{with_tools:,} of {prompts:,} prompts have tools. Where nothing is chosen, online "
             "training refuses them:"]  # fmt: skip
    ways = {
        "environment": "run in an environment of the project",
        "drop": "left out",
    }
    for name, each in frameworks.discover().items():
        if not OFFLINE.issuperset(each.algorithms):
            listed = [f"--set rows_with_tools={way} ({said})" for way, said in ways.items()
                      if way in each.rows_with_tools]  # fmt: skip
            found.append(f"{name}: {' or '.join(listed)}")
    return found
