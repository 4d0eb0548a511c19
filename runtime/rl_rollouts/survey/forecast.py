"""What a trainer will do with prepared rows: which it refuses or drops, and its steps.

    python -m rl_rollouts.survey.forecast --data training_data.jsonl --config my_config.yaml

The one place that says so: for `rl-scaffolder inspect`, `new` and `check`, for the project's own
`make check` and for its report. Without the tokenizer it does not know how long rows are; `make
check` does, and gives what it found.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..config import project, read_yaml
from ..engine.stored import Rows
from ..engine.write import beside, files_of
from ..errors import UserError, run
from ..frameworks import Training, known

SUFFIX = "_config"


class Forecast(msgspec.Struct):
    """Rows, and what becomes of them."""

    framework: str
    what: str
    """The rows, in a word: rows or prompts."""
    rows: int
    """Prepared, to train on."""
    held_out: int | None = None
    """Beside them; None where that is not known."""
    with_tools: int = 0
    tools: str = "show"
    """What becomes of those: refuse, drop or show."""
    tools_key: str = ""
    kept: int = 0
    """That the trainer takes."""
    measured: bool = False
    """Whether `kept` leaves out what is too long for it."""
    step_rows: int | None = None
    """Rows of one step; None where the framework does not say."""
    responses: int = 0
    """That one step generates."""
    steps: int | None = None
    """Of the whole run; None where only tokens tell."""
    epochs: float | None = None
    """None where the steps were set."""

    @property
    def problem(self) -> str:
        """Why the trainer would stop before the first step; empty when it would not."""
        if self.with_tools and self.tools == "refuse":
            return f"{self.with_tools:,} of {self.rows:,} {self.what} have tools, and are refused"
        if not self.kept:
            return f"none of {self.rows:,} {self.what} is left to train on"
        if self.steps == 0:
            return f"there are {self.kept:,} {self.what}, and a step takes {self._step}"
        return ""

    def demand(self) -> None:
        """See that there is a step to train.

        Raises:
            UserError: when there is none.
        """
        if self.problem:
            remedy = "Give more rollouts, or lower the batch size."
            raise UserError(f"{self.problem[0].upper()}{self.problem[1:]}.", remedy)

    @property
    def _step(self) -> str:
        """What one takes."""
        each = f"{self.step_rows:,} {self.what}"
        if not (self.responses and self.step_rows):
            return each
        group = self.responses // self.step_rows
        return f"{each} x {group:,} responses = {self.responses:,} responses"

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield f"rows     {self.rows_in_words()}"
        yield from self.steps_in_words()

    def rows_in_words(self) -> str:
        held = "" if self.held_out is None else f", {self.held_out:,} more held out"
        words = [f"{self.rows:,} {self.what}{held}"]
        if self.with_tools:
            fates = {"refuse": "refused", "drop": "dropped", "show": "shown"}
            how = f" ({self.tools_key}: {self.tools})" if self.tools != "show" else ""
            words.append(f"{self.with_tools:,} with tools {fates[self.tools]}{how}")
        return "; ".join([*words, f"{self.kept:,} to train on"])

    def steps_in_words(self) -> Iterator[str]:
        """The size and number of the steps, where the framework says it."""
        if self.step_rows is None:
            return
        if self.steps is None:
            yield f"steps    of {self._step}; packed rows are counted while training starts"
            return
        passes = "" if self.epochs is None else f", {self.epochs:g} epoch(s)"
        yield f"steps    {self.steps:,} of {self._step}{passes}"


def foresee(framework: str, training: Training | None, rows: int, with_tools: int) -> Forecast:
    """What becomes of so many rows.

    Args:
        training: what the config says; None where the framework tells nothing of it.
        with_tools: of these rows those that speak of tools.
    """
    if training is None:
        return Forecast(framework, "rows", rows, kept=rows)
    online = training.responses > 0
    out = with_tools if online and training.tools != "show" else 0
    kept = rows - out
    return Forecast(
        framework,
        "prompts" if online else "rows",
        rows,
        with_tools=with_tools if online else 0,
        tools=training.tools,
        tools_key=training.tools_key,
        kept=kept,
        step_rows=training.rows,
        responses=training.responses,
        steps=training.steps(kept),
        epochs=None if training.max_steps else training.epochs,
    )


def measured(module: Any, settings: Mapping[str, Any], found: Any) -> Forecast:
    """The same of rows that were tokenised.

    Args:
        module: of the framework.
        settings: what its config says, or its trainer makes of it.
        found: a `Learned`, which says itself what became of the rows.
    """
    training: Training = module.training(settings, project().folder)
    name = module.__name__.rpartition(".")[2]
    forecast = foresee(name, training, found.read, sum(found.skipped.values()))
    steps = training.steps(found.kept)
    return msgspec.structs.replace(forecast, kept=found.kept, steps=steps, measured=True)


def of_files(data: Path, config: Path, modules: Mapping[str, Any]) -> Forecast:
    """Of the prepared rows of a project, and the config that trains on them.

    Args:
        modules: of frameworks, by their names.

    Raises:
        UserError: when one cannot be read, or the config is of no framework that is known.
    """
    framework = config.stem.removesuffix(SUFFIX)
    module = modules.get(framework)
    settings = read_yaml(config, "Give the config of a trainer.")
    if not files_of(data):
        raise UserError(f"There is no {data}.", "Run `make prepare`.")
    training = training_of(module, settings, config.parent)
    rows = Rows([str(data)])
    online = training is not None and training.responses > 0
    with_tools = _with_tools(data, rows, module) if online else 0
    held_out = Rows([str(beside(data, f".eval{data.suffix}"))])
    forecast = foresee(framework, training, len(rows), with_tools)
    return msgspec.structs.replace(forecast, held_out=len(held_out))


def _with_tools(data: Path, rows: Rows, module: Any) -> int:
    """Rows that speak of tools."""
    tools = getattr(module, "tools_of", lambda row: row.get("tools"))
    try:
        return sum(bool(tools(row)) for row in rows)
    except (ValueError, AttributeError) as error:
        raise UserError(f"{data} holds no rows: {error}.", "Run `make prepare`.") from None


def training_of(module: Any, settings: Any, folder: Path) -> Training | None:
    """What a config says of a run; None where the framework tells nothing of it.

    Args:
        folder: with the config, and what stands beside it.
    """
    read = getattr(module, "training", None)
    if read is None or not isinstance(settings, Mapping):
        return None
    found: Training = read(settings, folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rl_rollouts.survey.forecast",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="prepared rows")
    parser.add_argument("--config", type=Path, required=True, help="<framework>_config.yaml")
    parser.add_argument("--json", action="store_true", help="the same for scripts")
    arguments = parser.parse_args()
    found = of_files(arguments.data, arguments.config, known())
    if arguments.json:
        print(
            msgspec.json.encode({**msgspec.to_builtins(found), "problem": found.problem}).decode()
        )
    else:
        print(*found.lines(), sep="\n")


if __name__ == "__main__":
    run(main)
