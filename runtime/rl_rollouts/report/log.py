"""The log of a run: one JSON object a logged step, whatever trainer wrote it."""

import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..frameworks import log_names
from ..hub import NOT_YET

Entry = dict[str, Any]


def read(path: Path) -> list[Entry]:
    """What was logged, by step; of a step that was logged again the last.

    Raises:
        UserError: when it is no log.
    """
    steps: dict[float, Entry] = {}
    # Those of a run that was resumed, where its logger began another one.
    earlier = sorted(path.parent.glob(f"{path.stem}.[0-9]*{path.suffix}"), key=_number_of)
    for file in (*earlier, path):
        _read(file, steps)
    return [steps[step] for step in sorted(steps)]


def _number_of(path: Path) -> int:
    number = path.suffixes[-2][1:]
    return int(number) if number.isdecimal() else 0


def _read(path: Path, steps: dict[float, Entry]) -> None:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    entry = json.loads(line)
                    step = float(entry["step"])
                    entry = _flat(entry)
                except (ValueError, TypeError, LookupError):
                    if line.endswith("\n"):
                        raise UserError(
                            f"{path}:{number} is no JSON object with a step.",
                            "Give the log.jsonl of a run.",
                        ) from None
                    continue  # The run is writing it right now.
                steps.setdefault(step, {}).update(entry)
    except FileNotFoundError:
        raise UserError(f"There is no {path}.", NOT_YET) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}.", "Give the log.jsonl of a run.") from None


def _flat(entry: Entry) -> Entry:
    """Some have what was logged one level below, under names of their own."""
    logged = entry.get("data")
    if not isinstance(logged, dict):
        return entry
    names = log_names()
    named = {names.get(key, str(key)): value for key, value in logged.items()}
    return {"step": entry["step"], **named}
