"""Prepared rows as TRL's trainers take them."""

import glob
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rl_rollouts.engine.write import files_of
from rl_rollouts.errors import UserError
from rl_rollouts.models.learned import Learned

Row = dict[str, Any]


def load(path: str, columns: Sequence[str]) -> Any:
    """Rows as a datasets.Dataset.

    The columns are declared as JSON: left to guess from the beginning of the file, `datasets` 5.2.0
    fails on tools or arguments that look different further down.
    """
    from datasets import Features, Json, Value, load_dataset

    read_numbers_exactly()
    features = Features({name: Value("bool") if name == "label" else Json() for name in columns})
    files = [glob.escape(str(file)) for file in files_of(Path(path).resolve())]
    return load_dataset("json", data_files=files, split="train", features=features)


def read_numbers_exactly() -> None:
    """Let `datasets` read and write its JSON columns with Python's own json.

    It uses pandas' ujson, which makes 0.7 in the arguments of a call 0.7000000000000001, and cannot
    read whole numbers beyond 64 bits: the model would be trained on text that nobody wrote.
    """
    from datasets import arrow_writer
    from datasets.features import features
    from datasets.packaged_modules.json import json as reader

    for module in (arrow_writer, features, reader):
        module.ujson_dumps = json.dumps
        module.ujson_loads = json.loads


def load_prompts(run: Any, path: str, columns: Sequence[str], found: Learned, tools: Any) -> Any:
    """Rows of prompts, without those that cannot be generated from; says how many those were.

    Args:
        found: counts them, as TRL will ask the model.
        tools: what the model is shown.
    """
    data, kept = load(path, columns), []
    for at, row in enumerate(data):
        if run.environment is None and row["tools"]:
            found.skip("with tools")
        elif found.add(f"{path}:{at + 1}", row["prompt"], [], tools):
            kept.append(at)
    found.demand()
    return data.select(kept).remove_columns("tools")


def demand_enough(prompts: int, training: Any) -> None:
    """TRL leaves out what does not fill a step: with too few prompts it would train nothing."""
    needed = training.generation_batch_size // training.num_generations
    if prompts < needed:
        raise UserError(
            f"There are {prompts} prompts, and a step generates from {needed}: "
            f"{training.generation_batch_size} responses, {training.num_generations} to each.",
            "Give more rollouts, or lower per_device_train_batch_size or "
            "gradient_accumulation_steps.",
        )


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a prepared file with their places; it has at least one, with these columns."""
    files = files_of(path)
    if not files:
        raise UserError(f"{path} is not there.", "Run prepare_for_trl.py first (make prepare).")
    empty = True
    for file in files:
        for row in _rows_of_file(file, columns):
            empty = False
            yield row
    if empty:
        raise UserError(f"{path} is empty.", "See the table that prepare_for_trl.py printed.")


def _rows_of_file(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                missing = [column for column in columns if column not in row]
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}:{number}: {error}", "Prepare the data again.") from None
            if missing:
                raise UserError(
                    f"{path}:{number}: no column {', '.join(missing)}; this algorithm reads "
                    f"{', '.join(columns)}.",
                    "Prepare the data with the config of this run.",
                )
            yield f"{path}:{number}", row
