"""What a trainer learns of prepared rows, before it learns it: how long they are, what the chat
template leaves out of them, which are empty or refused, and which pairs are the same in the end.

Every framework's `--check_only` asks here, with the function that makes its own sequences.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..config import refuse
from ..errors import UserError
from .chat_masks import Chat, MaskedChat, Refused, RowError, demand_messages
from .copies import Lost
from .left_out import WORDS, Learn, LeftOut

SHOWN = 3
"""Rows that are named where several have the same fault."""
Fault = Lost | Literal["empty", "empty after cutting", "same", "same after cutting"]


class Limit(NamedTuple):
    """How long a sequence may be, and what becomes of a longer one."""

    key: str
    """As the trainer's config calls it."""
    tokens: int | None
    fate: Literal["cut", "cut at the start", "dropped", "refused"] = "cut"

    def cut(self, each: MaskedChat) -> MaskedChat:
        """What is left of a sequence."""
        if self.tokens is None or len(each.tokens) <= self.tokens:
            return each
        part = slice(-self.tokens, None) if self.fate == "cut at the start" else slice(self.tokens)
        return MaskedChat(each.tokens[part], each.trained[part])


class Learned:
    """Rows as a trainer learns them, counted."""

    def __init__(
        self,
        learn: Learn,
        tokenizer: Any,
        limit: Limit,
        *,
        what: str = "rows",
        whole: bool = False,
    ) -> None:
        """Begin.

        Args:
            learn: how the trainer makes sequences of a row.
            what: the rows, in a word: `prompts` have no completion.
            whole: prompts are learned too, or judged, as a reward model does.
        """
        self.learn, self.limit, self.what = learn, limit, what
        self.left_out = LeftOut(learn, tokenizer, whole=whole)
        self.read = self.long = 0
        self.skipped: Counter[str] = Counter()
        self.lengths = array("q")
        self.trained = self.written = self.kept = 0
        """Tokens that are learned, and that would be without a limit; rows that are left."""
        self.ending = ""
        """What ends the first row."""
        self.refused: list[str] = []
        self.found: Counter[Fault] = Counter()
        self._decode = tokenizer.decode
        self._places: dict[Fault, list[str]] = {}
        self._ways: dict[str, str] = {}

    def skip(self, why: str) -> None:
        """Count a row that the trainer leaves out before it is looked at: `with tools`."""
        self.read += 1
        self.skipped[why] += 1

    def add(
        self, place: str, prompt: Chat, sides: Sequence[Chat], tools: Any
    ) -> list[MaskedChat] | None:
        """One row: what is left of it after cutting, or None where nothing is.

        Args:
            place: of the row, for a person: `file:line`.
            prompt: chat messages.
            sides: the completions: one, or of a pair both; none for a prompt.
            tools: tool schemas, as the trainer has them.
        """
        self.read += 1
        try:
            demand_messages(prompt, *sides)
            whole = self.learn(prompt, sides, tools)
        except RowError as error:
            self._refuse(place, error, prompt, sides, tools)
            return None
        self.lengths.append(max(len(each.tokens) for each in whole))
        for kind in self.left_out(prompt, sides, tools):
            self._note(kind, place)
        self.written += sum(sum(each.trained) for each in whole)
        left = self._left(place, whole)
        self.kept += left is not None
        self.trained += sum(sum(each.trained) for each in left or ())
        if left and sides and not self.ending:
            self.ending = self._decode([left[0].tokens[left[0].trained.rindex(1)]])
        return left

    def _left(self, place: str, whole: list[MaskedChat]) -> list[MaskedChat] | None:
        if self.limit.tokens is not None and self.lengths[-1] > self.limit.tokens:
            self.long += 1
            if self.limit.fate in {"dropped", "refused"}:
                return None
        left = [self.limit.cut(each) for each in whole]
        if self.what != "prompts" and not all(any(each.trained) for each in left):
            once = all(any(each.trained) for each in whole)
            self._note("empty after cutting" if once else "empty", place)
            return None
        if len(left) > 1 and left[0].tokens == left[1].tokens:
            same = whole[0].tokens == whole[1].tokens
            self._note("same" if same else "same after cutting", place)
        return left

    def _note(self, kind: Fault, place: str) -> None:
        self.found[kind] += 1
        if self.found[kind] <= SHOWN:
            self._places.setdefault(kind, []).append(place)

    def _refuse(
        self, place: str, error: RowError, prompt: Chat, sides: Sequence[Chat], tools: Any
    ) -> None:
        said = str(error)
        if isinstance(error, Refused):
            if said not in self._ways:
                self._ways[said] = way_out(self.learn, prompt, sides, tools)
            said = f"{said}; {self._ways[said]}"
        self.refused.append(f"{place}: {said}")

    def demand_taken(self) -> None:
        """See that the trainer takes all rows; UserError names those that it does not."""
        if self.refused:
            raise refuse(self.refused)

    def demand(self) -> None:
        """See that the trainer takes all rows, and that there is something to learn.

        Raises:
            UserError: when it does not, or there is nothing.
        """
        self.demand_taken()
        key, limit = self.limit.key, self.limit.tokens
        if self.limit.fate == "refused" and self.long:
            raise UserError(
                f"{self.long} {self.what} are longer than {key} = {limit} tokens, where "
                "the trainer stops.",
                f"Raise {key}, or let the trainer cut them.",
            )
        if self.kept > self.found["same"] + self.found["same after cutting"]:
            return
        if self.kept:
            what, remedy = self._words(max(self.found.keys() & {"same", "same after cutting"}))
            raise UserError(f"In all {self.kept} pairs {what}.", remedy)
        raise UserError(f"{self._all()}: nothing would be trained: {self}.", self._help())

    def _help(self) -> str:
        return (
            f"Raise {self.limit.key}."
            if self.long
            else "See what was prepared, and what is left out."
        )

    def _all(self) -> str:
        key, limit = self.limit.key, self.limit.tokens
        if self.limit.fate == "dropped" and self.long:
            return f"All {self.what} are longer than {key} = {limit}"
        if self.long:
            return f"In all {self.what} the prompt alone fills {key} = {limit}"
        return f"None of the {self.what} is left"

    def __str__(self) -> str:
        """What becomes of the rows, in one line."""
        words = [f"{self.read} {self.what} read"]
        words += [f"{count} {why} dropped" for why, count in self.skipped.items()]
        if self.long:
            limit = f"{self.limit.key} = {self.limit.tokens} tokens"
            words.append(f"{self.long} longer than {limit} {self.limit.fate}")
        if empty := self.found["empty"] + self.found["empty after cutting"]:
            words.append(f"{empty} with nothing to learn")
        return ", ".join([*words, f"{self.kept} to train on"])

    def lines(self) -> Iterator[str]:
        """The report for a terminal."""
        yield f"rows     {self}"
        if self.lengths:
            sizes, count = sorted(self.lengths), len(self.lengths)
            high = sizes[min(count - 1, count * 95 // 100)]
            words = f"{sizes[0]} to {sizes[-1]} tokens, median {sizes[count // 2]}, 95 % {high}"
            ending = f", the last of the first row is {self.ending!r}" if self.ending else ""
            taught = f"; {self.trained:,} are learned{ending}" if self.what != "prompts" else ""
            yield f"lengths  {words}{taught}"
        if self.long and self.written > self.trained:
            gone = f"{self.written - self.trained:,} of {self.written:,} tokens to learn"
            how = f"Raise {self.limit.key}, or prepare with --per_turn where rows have many turns."
            yield f"note: cutting takes {gone}. {how}"
        for kind, places in self._places.items():
            what, remedy = self._words(kind)
            named = ", ".join(places) + (", ..." if self.found[kind] > SHOWN else "")
            rows = f"{self.found[kind]} of {self.read} {self.what}"
            yield f"warning: in {rows} {what} ({named}). {remedy}"

    def _words(self, kind: Fault) -> tuple[str, str]:
        key = self.limit.key
        after = f"after cutting at {key} = {self.limit.tokens}"
        longer = f"Raise {key}, or keep shorter rollouts (--max_tokens when filtering)."
        other = "Take another chat template, or leave them out."
        words: Mapping[str, tuple[str, str]] = {
            **{str(lost): said for lost, said in WORDS.items()},
            "empty": ("nothing is learned", other),
            "empty after cutting": (f"nothing is learned {after}", longer),
            "same": ("both sides are the same, as the chat template writes them", other),
            "same after cutting": (f"both sides are the same {after}: nothing is learned", longer),
        }
        return words[kind]


def way_out(learn: Learn, prompt: Chat, sides: Sequence[Chat], tools: Any) -> str:
    """What would make a chat template take a row that it refuses: it is tried."""
    ways = {
        "prepare with --arguments text": (_as_text(prompt), [_as_text(each) for each in sides]),
        "leave system turns out (`change` in prepare_for_*.py), or take another template": (
            [each for each in prompt if each["role"] != "system"],
            sides,
        ),
    }
    for way, (asked, completions) in ways.items():
        try:
            learn(asked, completions, tools)
        except RowError:
            continue
        return way
    return "leave the row out, or take a model whose chat template takes these messages"


def _as_text(messages: Chat) -> Chat:
    """With the arguments of calls as JSON text."""
    return [
        {**each, "tool_calls": list(map(_call_as_text, each["tool_calls"]))}
        if each.get("tool_calls")
        else each
        for each in messages
    ]


def _call_as_text(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    given = function.get("arguments")
    text = given if isinstance(given, str) else json.dumps(given)
    return {**call, "function": {**function, "arguments": text}}
