"""Prepared rows as OpenRLHF's datasets take them, and what those learn of each.

Its loaders guess the types in JSONL from the first rows, and show chat templates no tools. So rows
are written once more, into the run's folder: as parquet, which says its types; with the tools of a
conversation in its first message, where the chat template that goes with them looks; and prompts of
online training as the text that the model is asked with.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rl_rollouts.engine.parquet import Parquet
from rl_rollouts.engine.stored import Row, Rows
from rl_rollouts.engine.write import beside, files_of
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import openrlhf
from rl_rollouts.frameworks.openrlhf.settings import TEMPLATE, Settings
from rl_rollouts.models.chat_masks import Chat
from rl_rollouts.rewards.environments import shown_tools

WITH_TOOLS = (
    "{%- if messages and messages[0].tools is defined %}"
    "{%- set tools = messages[0].tools %}{%- endif %}"
)
"""In front of a chat template: the tools that stand in the first message."""
Takes = Callable[[str, Row], bool]
HELD_OUT = 256
"""Prompts that are answered at an evaluation of online training, at most."""


def template_of(settings: Settings, tokenizer: Any) -> str:
    """The chat template that offline rows are written with."""
    own = getattr(settings.arguments.data, "tokenizer_chat_template", None)
    return WITH_TOOLS + str(own or tokenizer.chat_template)


def told(messages: Chat, tools: Any) -> Chat:
    """Messages, the first of which has the tools."""
    return [{**messages[0], "tools": tools}, *messages[1:]] if tools and messages else messages


def parts(settings: Settings, row: Row) -> tuple[Chat, list[Chat], Any]:
    """Prompt, completions and tools of a prepared row, by the names that the config has for them.

    Raises:
        KeyError: when it has no such columns.
    """
    keys, tools = settings.arguments.data, openrlhf.tools_of(row)
    if settings.online:
        return row[keys.input_key], [], tools
    if settings.algorithm == "sft":
        messages = row[keys.input_key]
        turns = [at for at, each in enumerate(messages) if each["role"] == "assistant"]
        end = turns[-1] if turns else len(messages)
        first = min(row.get("given", end), end)
        return messages[:first], [messages[first:]], tools
    sides = [row[keys.chosen_key], row[keys.rejected_key]]
    if keys.prompt_key:
        return row[keys.prompt_key], sides, tools
    shared = sides[0][:-1]  # as OpenRLHF takes it, of both
    return shared, [side[len(shared) :] for side in sides], tools


def written(settings: Settings, row: Row, tokenizer: Any, shown: Any) -> dict[str, Any]:
    """A row as OpenRLHF's dataset reads it."""
    prompt, sides, tools = parts(settings, row)
    keys = settings.arguments.data
    if settings.online:
        how = {"tokenize": False, "add_generation_prompt": True, **settings.template_options}
        text = tokenizer.apply_chat_template(prompt, tools=shown, **how)
        about = {name: settings.own[name] for name in ("rewards", "environment")}
        label = json.dumps({**json.loads(row[keys.label_key]), **about, "end": _ends(tokenizer)})
        return {keys.input_key: text, keys.label_key: label, "datasource": row["datasource"]}
    if settings.algorithm == "sft":
        return {keys.input_key: told([*prompt, *sides[0]], tools)}
    if keys.prompt_key:
        found = {keys.prompt_key: told(prompt, tools)}
        found |= {keys.chosen_key: sides[0], keys.rejected_key: sides[1]}
    else:
        whole = [told([*prompt, *side], tools) for side in sides]
        found = {keys.chosen_key: whole[0], keys.rejected_key: whole[1]}
    return found | {"margin": float(row.get("margin") or 0)}


def _ends(tokenizer: Any) -> list[str]:
    """What may stand after a response: the end of the turn, and padding."""
    return [each for each in (tokenizer.eos_token, tokenizer.pad_token) if each]


def rows_of(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows with their places."""
    for index, row in enumerate(Rows([str(file) for file in files_of(path)])):
        yield f"{path}:{index + 1}", row


def stage(
    settings: Settings, path: Path, tokenizer: Any, rank: int, takes: Takes | None = None
) -> Mapping[str, Any]:
    """Write the rows, and the held-out ones beside them, for OpenRLHF.

    Args:
        rank: of this machine: each has its own.
        takes: whether a row, at its place, is trained on; all are where there is none.

    Returns:
        The flags that say where they are.
    """
    folder = settings.output / "data" / str(rank)
    folder.mkdir(parents=True, exist_ok=True)
    key = "data.prompt_dataset" if settings.online else "data.dataset"
    count, tools = _write(settings, path, folder / "training.parquet", tokenizer, takes)
    found: dict[str, Any] = {key: str(folder / "training.parquet")}
    held_out = beside(path, f".eval{path.suffix}")
    # A reward model's mean and spread are those of the held-out rows; with none it would fail.
    wanted = settings.follows or settings.algorithm == "rm"
    if wanted and files_of(held_out):
        file, most = folder / "held_out.parquet", HELD_OUT if settings.online else None
        followed, more = _write(settings, held_out, file, tokenizer, takes, most)
        tools = tools or more
        found |= {"eval.dataset": str(file)} if followed else {}
    if settings.algorithm == "rm":
        found.setdefault("eval.dataset", found[key])
    found |= {"eval.split": "train"} if "eval.dataset" in found else {}
    if tools and not settings.online:
        template = template_of(settings, tokenizer)
        (folder / TEMPLATE).write_text(template, "utf-8")
        found["data.tokenizer_chat_template"] = template
    training = openrlhf.training({**settings.given, **settings.own}, settings.project)
    if training.steps(count) == 0:
        raise UserError(
            f"{count} rows of {path} are left to train on, and a step takes {training.rows}.",
            "Prepare more, or lower the batch size; --check_only says what is left out.",
        )
    return found


def _write(
    settings: Settings,
    path: Path,
    target: Path,
    tokenizer: Any,
    takes: Takes | None,
    most: int | None = None,
) -> tuple[int, bool]:
    """How many rows were written, and whether any has tools."""
    shown = shown_tools(settings.own["environment"]) if settings.online else None
    taken = (row for place, row in rows_of(path) if takes is None or takes(place, row))
    chosen = islice(taken, most)
    first, tools = next(chosen, None), False
    if first is None:
        return 0, False
    row = written(settings, first, tokenizer, shown)
    columns = {name: type(value) for name, value in row.items()}
    with Parquet(target, columns) as output:
        output.write(row)
        tools = bool(openrlhf.tools_of(first))
        for each in chosen:
            output.write(written(settings, each, tokenizer, shown))
            tools = tools or bool(openrlhf.tools_of(each))
        count = output.rows
    return count, tools
