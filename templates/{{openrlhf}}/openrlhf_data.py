"""Prepared rows as OpenRLHF's datasets take them, and what those learn of each.

Its loaders guess the types in JSONL from the first rows, and show chat templates no tools. So rows
are written once more, into the run's folder: as parquet, which says its types; with the tools of a
conversation in its first message, where the chat template that goes with them looks; and prompts of
online training as the text that the model is asked with.
"""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_rollouts.engine.parquet import Parquet
from rl_rollouts.engine.stored import Row, Rows
from rl_rollouts.engine.write import beside, files_of
from rl_rollouts.errors import UserError
from rl_rollouts.frameworks import openrlhf
from rl_rollouts.frameworks.openrlhf.settings import TEMPLATE, Settings
from rl_rollouts.models.after_prompt import AfterPrompt
from rl_rollouts.models.chat_masks import Chat, MaskedChat, RowError, refusals
from rl_rollouts.models.learned import Learned, Limit
from rl_rollouts.rewards.environments import shown_tools

WITH_TOOLS = (
    "{%- if messages and messages[0].tools is defined %}"
    "{%- set tools = messages[0].tools %}{%- endif %}"
)
"""In front of a chat template: the tools that stand in the first message."""
WHOLE = 10**6
"""Tokens that no row has."""
REWRITES = (
    "the chat template writes what comes before a turn of the model differently once that turn "
    "follows, and OpenRLHF would cut it in the wrong place"
)


def template_of(settings: Settings, tokenizer: Any) -> str:
    """The chat template that offline rows are written with."""
    own = getattr(settings.arguments.data, "tokenizer_chat_template", None)
    return WITH_TOOLS + str(own or tokenizer.chat_template)


def told(messages: Chat, tools: Any) -> Chat:
    """Messages, the first of which has the tools."""
    return [{**messages[0], "tools": tools}, *messages[1:]] if tools and messages else messages


class Upstream:
    """Prompt, completions and tools of an offline row -> the sequences that OpenRLHF trains on.

    Its own dataset classes make them; what they would silently get wrong is refused.
    """

    def __init__(self, settings: Settings, tokenizer: Any) -> None:
        self.judged, self.pairs = settings.algorithm == "rm", settings.algorithm != "sft"
        self.multiturn = bool(getattr(settings.arguments.data, "multiturn", False))
        self.tokenizer = tokenizer
        self.tokenizer.chat_template = template_of(settings, tokenizer)
        self.longest = int(settings.arguments.data.max_len)

    def __call__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> list[MaskedChat]:
        """The sequences of a row, not cut.

        Raises:
            RowError: when the chat template does not take it, or OpenRLHF would cut it wrongly.
        """
        with refusals():
            for side in sides:
                self._demand_prefixes(told([*prompt, *side], tools), len(prompt))
            made = self._made(WHOLE, prompt, sides, tools)
            items = made[0]
        if not self.pairs:
            return [_shifted(items[0][0], items[2][0])]
        asked = 0 if self.judged else int(items[4])
        return [_after(items[place][0], asked) for place in (0, 2)][: len(sides)]

    def drops(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> bool:
        """Whether OpenRLHF leaves a row out, since its prompt leaves no room for an answer."""
        made = self._process(self.longest, prompt, sides, tools)[1]
        return made["prompt"] is None

    def _demand_prefixes(self, messages: Chat, asked: int) -> None:
        """See that what comes before each trained turn is written the same with what follows."""
        render = self.tokenizer.apply_chat_template
        whole = render(messages, tokenize=False)
        turns = [at for at, each in enumerate(messages) if each["role"] == "assistant"]
        if not turns:
            raise RowError("it has no turn of the model; leave it out")
        trained = turns if self.multiturn else [asked] if self.pairs else turns[-1:]
        for at in trained:
            before = render(messages[:at], tokenize=False, add_generation_prompt=True)
            until = render(messages[: at + 1], tokenize=False) if self.multiturn else before
            if not (whole.startswith(before) and whole.startswith(until)):
                way = "; set data.multiturn: false, and prepare again" if self.multiturn else ""
                raise RowError(REWRITES + way)

    def _made(self, longest: int, prompt: Chat, sides: Sequence[Chat], tools: Any) -> Any:
        data, made = self._process(longest, prompt, sides, tools)
        data.prompts = [made["prompt"]]
        if self.pairs:
            data.chosens, data.rejects = [made["chosen"]], [made["reject"]]
            data.extras = [made["extra"]]
        else:
            data.responses, data.prompt_ids_lens = [made["response"]], [made["prompt_ids_len"]]
            data.response_ranges = [made["response_ranges"]]
        if made["prompt"] is None:
            raise RowError("nothing is left of it to learn; leave it out")
        return data

    def _process(self, longest: int, prompt: Chat, sides: Sequence[Chat], tools: Any) -> Any:
        """A dataset of OpenRLHF without rows, and what it makes of one."""
        from openrlhf.datasets import RewardDataset, SFTDataset

        data: Any = object.__new__(RewardDataset if self.pairs else SFTDataset)
        data.tokenizer, data.max_length, data.input_template = self.tokenizer, longest, None
        data.apply_chat_template = self.tokenizer.apply_chat_template
        if self.pairs:
            data.is_dpo, data.prompt_key = not self.judged, "prompt"
            data.chosen_key, data.rejected_key = "chosen", "rejected"
            row = {"chosen": list(sides[0]), "rejected": list(sides[-1])}
            return data, data.process_data({"prompt": told(prompt, tools), **row})
        data.multiturn, data.pretrain_mode = self.multiturn, False
        data.input_key, data.output_key = "messages", None
        return data, data.process_data({"messages": told([*prompt, *sides[0]], tools)})


def _shifted(ids: Any, mask: Any) -> MaskedChat:
    """OpenRLHF marks the token before the one that is learned."""
    marks = [0, *(int(each) for each in mask[:-1])]
    return MaskedChat(array("i", ids.tolist()), bytes(marks))


def _after(ids: Any, asked: int) -> MaskedChat:
    return MaskedChat(array("i", ids.tolist()), bytes(asked) + b"\1" * (len(ids) - asked))


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


class Taken:
    """The rows that OpenRLHF is given, and what becomes of the others."""

    def __init__(self, settings: Settings, tokenizer: Any) -> None:
        self.settings, self.tokenizer, data = settings, tokenizer, settings.arguments.data
        self.shown = shown_tools(settings.own["environment"]) if settings.online else None
        self.upstream = None if settings.online else Upstream(settings, tokenizer)
        if self.upstream is None:
            new = settings.arguments.rollout.max_new_tokens
            room = data.max_len - (new or 1)
            limit = Limit("data.max_len - rollout.max_new_tokens", room, "dropped")
            self.found = Learned(AfterPrompt(tokenizer), tokenizer, limit, what="prompts")
        else:
            limit = Limit("data.max_len", data.max_len, "cut")
            judged = settings.algorithm == "rm"
            self.found = Learned(self.upstream, tokenizer, limit, whole=judged)

    def takes(self, place: str, row: Row) -> bool:
        """Whether a row is trained on; it is counted."""
        prompt, sides, tools = parts(self.settings, row)
        if self.settings.online and tools and not self.settings.own["environment"]:
            self.found.skip("with tools")
            return False
        if self.upstream is None:
            return bool(self.found.add(place, prompt, [], self.shown))
        refused = len(self.found.refused)
        left = self.found.add(place, prompt, sides, tools)
        if left is None or len(self.found.refused) > refused:
            return False
        return self.settings.algorithm == "rm" or not self.upstream.drops(prompt, sides, tools)


def written(settings: Settings, row: Row, tokenizer: Any, shown: Any) -> dict[str, Any]:
    """A row as OpenRLHF's dataset reads it."""
    prompt, sides, tools = parts(settings, row)
    keys = settings.arguments.data
    if settings.online:
        text = tokenizer.apply_chat_template(
            prompt, tools=shown, tokenize=False, add_generation_prompt=True
        )
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


def stage(settings: Settings, path: Path, tokenizer: Any, rank: int) -> Mapping[str, Any]:
    """Write the rows, and the held-out ones beside them, for OpenRLHF.

    Args:
        rank: of this machine: each has its own.

    Returns:
        The flags that say where they are.
    """
    folder = settings.output / "data" / str(rank)
    folder.mkdir(parents=True, exist_ok=True)
    key = "data.prompt_dataset" if settings.online else "data.dataset"
    count, tools = _write(settings, path, folder / "training.parquet", tokenizer)
    found: dict[str, Any] = {key: str(folder / "training.parquet")}
    held_out = beside(path, f".eval{path.suffix}")
    # A reward model's mean and spread are those of the held-out rows; with none it would fail.
    wanted = settings.follows or settings.algorithm == "rm"
    if wanted and files_of(held_out):
        followed, more = _write(settings, held_out, folder / "held_out.parquet", tokenizer)
        tools = tools or more
        found |= {"eval.dataset": str(folder / "held_out.parquet")} if followed else {}
    if settings.algorithm == "rm":
        found.setdefault("eval.dataset", found[key])
    found |= {"eval.split": "train"} if "eval.dataset" in found else {}
    if not settings.online:
        found["data.apply_chat_template"] = True
        if tools:
            template = template_of(settings, tokenizer)
            (folder / TEMPLATE).write_text(template, "utf-8")
            found["data.tokenizer_chat_template"] = template
    if not count:
        raise UserError(f"Of {path} no row is left to train on.", "Run with --check_only.")
    return found


def _write(settings: Settings, path: Path, target: Path, tokenizer: Any) -> tuple[int, bool]:
    """How many rows were written, and whether any has tools."""
    shown = shown_tools(settings.own["environment"]) if settings.online else None
    taken = Taken(settings, tokenizer) if settings.online else None
    chosen = (row for place, row in rows_of(path) if taken is None or taken.takes(place, row))
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
